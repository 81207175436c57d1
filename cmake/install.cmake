# A relocatable prefix: bin/netc finds lib/libHalide.so, lib/netc/*.a and include/netc/ relative to itself.
if(TARGET netc)
  install(TARGETS netc RUNTIME DESTINATION bin)
  install(FILES $<TARGET_FILE:Halide::Halide> DESTINATION lib RENAME $<TARGET_SONAME_FILE_NAME:Halide::Halide>)
endif()
install(TARGETS netc_runtime netc_runtime_core ARCHIVE DESTINATION lib/netc)
install(DIRECTORY runtime DESTINATION include/netc FILES_MATCHING PATTERN "*.h" PATTERN "*.cpp")  # --emit cpp copies the sources
