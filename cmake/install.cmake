# A relocatable prefix: bin/netc finds lib/libHalide.so, lib/netc/*.a and include/netc/ relative to itself. LLVM, ANTLR's runtime and fmt come from Debian.
if(TARGET netc)
  install(TARGETS netc RUNTIME DESTINATION bin)
  install(FILES $<TARGET_FILE:Halide::Halide> DESTINATION lib RENAME $<TARGET_SONAME_FILE_NAME:Halide::Halide>)
endif()
install(TARGETS netc_runtime netc_runtime_core ARCHIVE DESTINATION lib/netc)
install(DIRECTORY runtime DESTINATION include/netc FILES_MATCHING PATTERN "*.h" PATTERN "*.cpp" PATTERN "*.def")  # --emit cpp copies the sources
install(DIRECTORY models DESTINATION share/netc FILES_MATCHING PATTERN "*.net")
install(DIRECTORY docs DESTINATION share/doc/netc FILES_MATCHING PATTERN "*.md")
install(FILES README.md DESTINATION share/doc/netc)
install(DIRECTORY editors DESTINATION share/netc FILES_MATCHING PATTERN "*.json" PATTERN "*.md")
