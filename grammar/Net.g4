// The .net language. Line ends carry no meaning: a chain goes on with '->' on the next line.
grammar Net;

file: decl* EOF;
decl: 'import' STRING | netDecl | blockDecl | opDecl | fnDecl | section;
netDecl: 'net' ID params? body;
blockDecl: 'block' ID params? body;
opDecl: 'op' ID params '=' expr;
fnDecl: 'fn' ID params '=' expr;
params: '(' (param (',' param)* ','?)? ')';
param: ID (':' paramType)? ('=' expr)?;
paramType
  : ID ('(' typeArg (',' typeArg)* ')')?         // int, float(0..1), one_of(18, 34)
  | '[' paramType ']'                            // a list of these
  | '(' paramType (',' paramType)+ ')'           // a tuple
  ;
typeArg: sum? '..' sum? | expr;
body: '{' stmt* '}';

stmt
  : 'input' ID (':' tensorType)?                 # inputStmt
  | 'output' (ID '=')? expr                      # outputStmt
  | blockDecl                                    # blockStmt
  | opDecl                                       # opStmt
  | fnDecl                                       # fnStmt
  | 'let' pattern '=' expr                       # letStmt
  | 'var' pattern '=' expr                       # varStmt
  | 'for' pattern 'in' expr body                 # forStmt
  | 'if' expr body ('else' 'if' expr body)* ('else' body)? # ifStmt
  | 'assert' expr ',' STRING                     # assertStmt
  | 'default' ID '(' (arg (',' arg)* ','?)? ')'  # defaultStmt
  | ID '=' expr                                  # assignStmt
  | expr                                         # exprStmt
  ;
pattern: ID | '(' pattern (',' pattern)+ ')';
tensorType: ID '[' (dim (',' dim)*)? ']';
dim: '*' | sum;

section: ('data' | 'train') '{' entry* '}';
entry: key '=' expr;
key: ID | 'train' | 'data';

expr: 'if' expr 'then' expr 'else' expr | chain;
chain: link ('->' link)*;
link: conjunction ('or' conjunction)*;
conjunction: negation ('and' negation)*;
negation: 'not' negation | comparison;
comparison: range (('==' | '!=' | '<=' | '>=' | '<' | '>') range)?;
range: sum ('..' sum)?;
sum: product (('+' | '-') product)*;
product: unary (('*' | '/' | '%') unary)*;
unary: '-' unary | power;
power: postfix ('^' unary)?;
postfix: atom suffix* modifier*;
suffix: '.' ID | '[' expr ']' | '(' (arg (',' arg)* ','?)? ')';
modifier: 'frozen' | 'from' atom;
arg: (key '=')? expr;
atom
  : INT | FLOAT | STRING | 'true' | 'false' | ID
  | '(' expr (',' expr)* ')'
  | '[' (expr (comprehension | (',' expr)* ','?))? ']'
  | '{' (pair (',' pair)* ','?)? '}'
  ;
comprehension: 'for' pattern 'in' expr ('if' expr)?;
pair: expr ':' expr;

FLOAT: [0-9]+ '.' [0-9]+ EXPONENT? | [0-9]+ EXPONENT;
INT: [0-9]+;
fragment EXPONENT: [eE] [+\-]? [0-9]+;
STRING: '"' (~["\\\r\n] | '\\' ~[\r\n])* '"';
ID: [A-Za-z_] [A-Za-z_0-9]*;
DOC: '///' ~[\r\n]* -> channel(HIDDEN);
COMMENT: '//' ~[\r\n]* -> channel(HIDDEN);
SPACE: [ \t\r\n]+ -> skip;
BAD: . ;
