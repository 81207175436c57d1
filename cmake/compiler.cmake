# One static library per stage, in the order in which they may depend on each other, and the compiler itself.
find_package(antlr4-runtime QUIET)
set(netc_stages base machine ast ir parse ops sema passes plan nests schedule picture lower report emit tune verify)
set(netc_libraries "")
add_library(netc_flags INTERFACE)
target_include_directories(netc_flags INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(netc_flags INTERFACE $<$<CONFIG:Release>:-O1>)  # the compiler waits for Halide and the host's compiler, not for itself; it builds in two thirds of the time
if(NETC_SANITIZE)  # Halide's expressions are all pointers and calls: asking at each of them would double the time; AddressSanitizer sees most of it as well
  target_compile_options(netc_flags INTERFACE -fno-sanitize=alignment,nonnull-attribute,returns-nonnull-attribute,pointer-overflow)
endif()
target_include_directories(netc_flags SYSTEM INTERFACE ${LLVM_INCLUDE_DIRS})
# Halide first: its own LLVM is hidden inside it, and must be found before the shared one.
target_link_libraries(netc_flags INTERFACE Halide::Halide LLVM fmt::fmt nlohmann_json::nlohmann_json Threads::Threads)
foreach(stage ${netc_stages})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/compiler/${stage}/*.cpp)
  if(NOT sources)
    continue()
  endif()
  add_library(netc_${stage} STATIC ${sources})
  target_link_libraries(netc_${stage} PUBLIC netc_flags)
  list(APPEND netc_libraries netc_${stage})
endforeach()
# Headers that most files of a stage include, parsed once: Halide's where there are algorithms and loops, and what the other stages share.
target_precompile_headers(netc_ops PRIVATE <Halide.h> <fmt/format.h> <fmt/ranges.h> <algorithm> <functional> <map> <variant>)
foreach(stage nests lower)
  target_precompile_headers(netc_${stage} REUSE_FROM netc_ops)
endforeach()
target_precompile_headers(netc_sema PRIVATE <fmt/format.h> <fmt/ranges.h> <algorithm> <functional> <map> <set> <string> <variant> <vector>)
foreach(stage base ast ir parse passes plan schedule picture report emit)
  if(TARGET netc_${stage})
    target_precompile_headers(netc_${stage} REUSE_FROM netc_sema)
  endif()
endforeach()
if(TARGET netc_emit)  # the build tree's headers; an installed netc finds its own relative to itself
  target_compile_definitions(netc_emit PRIVATE NETC_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  add_dependencies(netc_emit netc_runtime netc_runtime_core)  # what products link
endif()
if(TARGET netc_parse)
  target_link_libraries(netc_parse PUBLIC netc_grammar)
endif()
foreach(stage tune verify)  # they run kernels with the threads and the memory that products have
  target_link_libraries(netc_${stage} PUBLIC netc_runtime_core)
endforeach()
# One archive group: the stages' own dependency rule is held by tests/structure, not by the linker.
add_library(netc_all INTERFACE)
target_link_libraries(netc_all INTERFACE -Wl,--start-group ${netc_libraries} -Wl,--end-group netc_flags)

file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/compiler/tool/*.cpp)
if(sources)
  add_executable(netc ${sources})
  target_link_libraries(netc PRIVATE netc_all CLI11::CLI11)
  foreach(name halide_malloc halide_free halide_do_par_for halide_error halide_error_out_of_memory)  # for the kernels that it loads to measure them
    target_link_options(netc PRIVATE -Wl,--export-dynamic-symbol=${name})
  endforeach()
  target_compile_definitions(netc PRIVATE NETC_VERSION="${PROJECT_VERSION}")
  set_target_properties(netc PROPERTIES INSTALL_RPATH "$ORIGIN/../lib")
endif()
