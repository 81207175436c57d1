// The .net language. Line ends carry no meaning: a chain goes on with '->' on the next line.
grammar Net;

file: decl* EOF;
decl: netDecl | section;
netDecl: 'net' ID params? body;
params: '(' (param (',' param)* ','?)? ')';
param: ID (':' paramType)? ('=' expr)?;
paramType: ID ('(' expr (',' expr)* ')')?;
body: '{' stmt* '}';

stmt
  : 'input' ID (':' tensorType)?                 # inputStmt
  | 'output' (ID '=')? expr                      # outputStmt
  | 'block' ID params? body                      # blockStmt
  | 'let' ID '=' expr                            # letStmt
  | 'var' ID '=' expr                            # varStmt
  | 'for' pattern 'in' expr body                 # forStmt
  | 'if' expr body ('else' 'if' expr body)* ('else' body)? # ifStmt
  | 'assert' expr ',' STRING                     # assertStmt
  | 'default' ID '(' (arg (',' arg)* ','?)? ')'  # defaultStmt
  | ID '=' expr                                  # assignStmt
  | expr                                         # exprStmt
  ;
pattern: ID | '(' ID ',' ID ')';
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
postfix: atom suffix*;
suffix: '.' ID | '[' expr ']' | '(' (arg (',' arg)* ','?)? ')';
arg: (key '=')? expr;
atom
  : INT | FLOAT | STRING | 'true' | 'false' | ID
  | '(' expr ')'
  | '[' (expr (',' expr)* ','?)? ']'
  | '{' (pair (',' pair)* ','?)? '}'
  ;
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
