# Programs that are carried to other machines (scripts/dist.sh, packages).
#   REAP_PORTABLE  the engine has code for several processors (scripts/engine.sh), and no path of this machine stays inside
#   REAP_STATIC    linked in are jansson, libcrypto, xxHash, zlib, libgomp and the C++ library, so that the program wants
#                  the C library alone; libcurl is opened when a command needs it (src/base/curl_late.c). libreap is an
#                  archive that wants no more either

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

# reap_join(TARGET SOURCE...): libreap.a, one object of these sources and what they use of reapcore and the archives. A program may have a
# jansson or a libcrypto of its own beside it: all names but those of reap.h are local. It is for programs; those archives are not made for
# shared libraries.
function(reap_join target)
    add_library(${target}-sources OBJECT ${ARGN})
    target_link_libraries(${target}-sources PRIVATE reapcore)
    add_custom_command(OUTPUT libreap.a
        COMMAND "${CMAKE_C_COMPILER}" -fuse-ld=bfd -nostdlib -r -Wl,-d -o libreap-whole.o "$<TARGET_OBJECTS:${target}-sources>" "$<TARGET_FILE:reapcore>"
            "${REAP_ARCHIVE_jansson}" "${REAP_ARCHIVE_libcrypto}" "${REAP_ARCHIVE_libxxhash}"
        COMMAND "${CMAKE_OBJCOPY}" --strip-unneeded --wildcard "--keep-global-symbol=reap_*" libreap-whole.o libreap.o
        COMMAND "${CMAKE_COMMAND}" -E rm -f libreap-whole.o libreap.a
        COMMAND "${CMAKE_AR}" rcsD libreap.a libreap.o
        DEPENDS ${target}-sources reapcore "$<TARGET_OBJECTS:${target}-sources>"
        COMMAND_EXPAND_LISTS VERBATIM)
    add_custom_target(${target} DEPENDS libreap.a)
endfunction()
