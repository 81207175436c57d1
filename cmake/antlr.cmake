# netc_grammar: the parser that ANTLR generates from grammar/Net.g4.
find_program(ANTLR4 antlr4 REQUIRED)
set(NETC_GRAMMAR_DIR ${CMAKE_BINARY_DIR}/grammar)
set(NETC_GRAMMAR_OUT ${NETC_GRAMMAR_DIR}/NetLexer.cpp ${NETC_GRAMMAR_DIR}/NetParser.cpp
  ${NETC_GRAMMAR_DIR}/NetLexer.h ${NETC_GRAMMAR_DIR}/NetParser.h)
add_custom_command(
  OUTPUT ${NETC_GRAMMAR_OUT}
  COMMAND ${ANTLR4} -Dlanguage=Cpp -no-listener -no-visitor -Xexact-output-dir -o ${NETC_GRAMMAR_DIR} ${CMAKE_SOURCE_DIR}/grammar/Net.g4
  DEPENDS ${CMAKE_SOURCE_DIR}/grammar/Net.g4
  COMMENT "ANTLR: grammar/Net.g4"
  VERBATIM)
add_library(netc_grammar STATIC ${NETC_GRAMMAR_OUT})
target_include_directories(netc_grammar SYSTEM PUBLIC /usr/include/antlr4-runtime ${NETC_GRAMMAR_DIR})
target_compile_options(netc_grammar PUBLIC -fno-char8_t PRIVATE -w)
target_link_libraries(netc_grammar PUBLIC antlr4-runtime)
