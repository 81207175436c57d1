# What compiled programs link: netc_runtime (everything) and netc_runtime_core (what an embedded network needs, standard library only).
file(GLOB core CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/runtime/core/*.cpp)
list(APPEND core ${PROJECT_SOURCE_DIR}/runtime/kernel_support.cpp ${PROJECT_SOURCE_DIR}/runtime/cores.cpp)
file(GLOB_RECURSE data CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/runtime/data/*.cpp)
file(GLOB rest CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/runtime/train/*.cpp ${PROJECT_SOURCE_DIR}/runtime/cli/*.cpp)
# What reads and writes weights: small, since an application carries it.
file(GLOB weights ${PROJECT_SOURCE_DIR}/runtime/core/*.cpp)
list(REMOVE_ITEM weights ${PROJECT_SOURCE_DIR}/runtime/core/limits.cpp)
set_source_files_properties(${weights} PROPERTIES COMPILE_OPTIONS -Os)
add_library(netc_runtime_data OBJECT ${data})  # by itself for its tests under sanitizers
add_library(netc_runtime_core STATIC ${core})
add_library(netc_runtime STATIC ${rest} $<TARGET_OBJECTS:netc_runtime_core> $<TARGET_OBJECTS:netc_runtime_data>)
foreach(lib netc_runtime netc_runtime_core netc_runtime_data)
  target_include_directories(${lib} PUBLIC ${PROJECT_SOURCE_DIR})
  # Without unique symbols: two compiled libraries in one application keep their own copies of everything.
  target_compile_options(${lib} PRIVATE -ffunction-sections -fdata-sections $<$<CXX_COMPILER_ID:GNU>:-fno-gnu-unique>)
  # Products need no fmt library: runtime/core/fmt.cpp has its code.
  target_include_directories(${lib} SYSTEM PUBLIC $<TARGET_PROPERTY:fmt::fmt,INTERFACE_INCLUDE_DIRECTORIES>)
  target_link_libraries(${lib} PUBLIC nlohmann_json::nlohmann_json Threads::Threads)
endforeach()
target_link_libraries(netc_runtime_data PUBLIC ZLIB::ZLIB PNG::PNG ${TURBOJPEG})
target_link_libraries(netc_runtime PUBLIC CLI11::CLI11 ZLIB::ZLIB PNG::PNG ${TURBOJPEG})
# What is no inner loop: small, and quickly compiled.
target_compile_options(netc_runtime PRIVATE $<$<CONFIG:Release>:-Os>)
target_precompile_headers(netc_runtime PRIVATE <fmt/format.h> <fmt/ranges.h> <nlohmann/json.hpp>)
target_precompile_headers(netc_runtime_data PRIVATE <fmt/format.h> <fmt/ranges.h> <tl/expected.hpp> <algorithm> <filesystem> <memory> <string> <vector>)
