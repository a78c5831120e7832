# Programs that are carried to other machines (scripts/dist.sh, packages).
#   REAP_PORTABLE  the engine has code for several processors (scripts/engine.sh), and no path of this machine stays inside
#   REAP_STATIC    linked in are jansson, libcrypto, xxHash, zlib, libgomp and the C++ library, so that the program wants
#                  the C library alone; libcurl is opened when a command needs it (src/base/curl_late.c)

if(REAP_PORTABLE)
    set(REAP_NATIVE OFF)
    set(CMAKE_SKIP_RPATH ON)
    add_compile_options("-ffile-prefix-map=${CMAKE_BINARY_DIR}=build" "-ffile-prefix-map=${CMAKE_SOURCE_DIR}=reap")
endif()
if(NOT REAP_STATIC)
    return()
endif()

foreach(pair jansson:libjansson.a libcrypto:libcrypto.a libxxhash:libxxhash.a zlib:libz.a)
    string(REGEX MATCH "^(.*):(.*)$" pair "${pair}")
    set(name "${CMAKE_MATCH_1}")
    find_library(REAP_ARCHIVE_${name} NAMES "${CMAKE_MATCH_2}" HINTS "${${name}_LIBDIR}")
    if(NOT REAP_ARCHIVE_${name})
        message(FATAL_ERROR "REAP_STATIC: ${CMAKE_MATCH_2} is not found (the -dev package of ${name} has it)")
    endif()
    set_target_properties(PkgConfig::${name} PROPERTIES INTERFACE_LINK_LIBRARIES "${REAP_ARCHIVE_${name}}")
endforeach()
set_target_properties(PkgConfig::libcurl PROPERTIES INTERFACE_LINK_LIBRARIES "")

# FindOpenMP takes what is set already.
execute_process(COMMAND "${CMAKE_C_COMPILER}" -print-file-name=libgomp.a
    OUTPUT_VARIABLE gomp OUTPUT_STRIP_TRAILING_WHITESPACE)
set(OpenMP_gomp_LIBRARY "${gomp}" CACHE FILEPATH "" FORCE)
add_link_options(-static-libgcc -static-libstdc++)
