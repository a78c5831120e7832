# reap_embed(TARGET FILE...): files that stay files in the repository become constants of the program. Each FILE is NAME.EXT and gives
#   extern const unsigned char embed_NAME_EXT[]; extern const unsigned long embed_NAME_EXT_size;
# The same file run as a script (cmake -P) writes the C source: no tool besides CMake is needed, and no assembler.

if(CMAKE_SCRIPT_MODE_FILE)
    file(READ "${INPUT}" hex HEX)
    string(LENGTH "${hex}" n)
    math(EXPR n "${n} / 2")
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
    string(REPEAT "0x..," 20 line)
    string(REGEX REPLACE "(${line})" "\\1\n" bytes "${bytes}")
    file(WRITE "${OUTPUT}" "/* made from ${LABEL} by cmake/embed.cmake */
extern const unsigned char ${NAME}[];
extern const unsigned long ${NAME}_size;
const unsigned char ${NAME}[] = {
${bytes}0};
const unsigned long ${NAME}_size = ${n};
")
    return()
endif()

set(reap_embed_script "${CMAKE_CURRENT_LIST_FILE}")

function(reap_embed target)
    foreach(file ${ARGN})
        get_filename_component(label "${file}" NAME)
        string(MAKE_C_IDENTIFIER "embed_${label}" name)
        set(out "${CMAKE_BINARY_DIR}/embed/${name}.c")
        add_custom_command(OUTPUT "${out}"
            COMMAND "${CMAKE_COMMAND}" "-DINPUT=${CMAKE_SOURCE_DIR}/${file}" "-DOUTPUT=${out}" "-DNAME=${name}" "-DLABEL=${file}"
                -P "${reap_embed_script}"
            DEPENDS "${CMAKE_SOURCE_DIR}/${file}" "${reap_embed_script}"
            COMMENT "embedding ${file}" VERBATIM)
        target_sources(${target} PRIVATE "${out}")
    endforeach()
endfunction()
