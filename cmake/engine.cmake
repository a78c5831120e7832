# Finds libllama, the inference engine, and defines the target reap_engine and REAP_ENGINE_VERSION.
# REAP_ENGINE_TOOLS is the folder of its programs (llama-server), which need not be there yet; where
# scripts/engine.sh made the engine, REAP_ENGINE_SCRIPT and REAP_ENGINE_FLAGS build them.
# Order: REAP_LLAMA_DIR; an installed one that is new enough; the one scripts/engine.sh builds into its cache.

set(REAP_LLAMA_MIN 0.5.0)
set(REAP_ENGINE_SCRIPT "")
set(REAP_ENGINE_FLAGS "")

# The answer of an earlier run must not win over changed options or another machine's cache.
unset(llama_DIR CACHE)
unset(ggml_DIR CACHE)
unset(llama_LIBRARY CACHE)

# Without CC and CXX, which CMake sets to the compilers of this build: the engine is the same one for all presets
# (ENGINE_CC and ENGINE_CXX choose other compilers for it), unless it is for another machine.
set(engine_env "${CMAKE_COMMAND}" -E env --unset=CC --unset=CXX --unset=CFLAGS --unset=CXXFLAGS)
if(CMAKE_CROSSCOMPILING)
    list(APPEND engine_env "ENGINE_CC=${CMAKE_C_COMPILER}" "ENGINE_CXX=${CMAKE_CXX_COMPILER}")
endif()

# An engine built with gcc carries libgomp; clang without its own libomp finds it only when told where it is.
if(CMAKE_C_COMPILER_ID MATCHES "Clang" AND NOT APPLE)
    find_package(OpenMP QUIET)
    if(NOT OpenMP_FOUND)
        execute_process(COMMAND gcc -print-file-name=libgomp.so
            OUTPUT_VARIABLE gomp OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
        foreach(lang C CXX)
            set(OpenMP_${lang}_FLAGS -pthread)
            set(OpenMP_${lang}_LIB_NAMES gomp)
        endforeach()
        set(OpenMP_gomp_LIBRARY "${gomp}")
    endif()
endif()

if(REAP_LLAMA_DIR)
    set(prefix "${REAP_LLAMA_DIR}")
    # A build tree cannot be used in place: its package files hold only once installed.
    if(EXISTS "${prefix}/CMakeCache.txt")
        set(prefix "${CMAKE_BINARY_DIR}/llama")
        execute_process(
            COMMAND "${CMAKE_COMMAND}" --install "${REAP_LLAMA_DIR}" --prefix "${prefix}"
            OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
    endif()
    find_package(llama CONFIG QUIET PATHS "${prefix}" NO_DEFAULT_PATH)
    if(NOT llama_FOUND)
        message(FATAL_ERROR "REAP_LLAMA_DIR: no usable libllama in ${REAP_LLAMA_DIR}; "
            "expected the prefix of an installed llama.cpp or its build folder")
    elseif(llama_VERSION VERSION_LESS REAP_LLAMA_MIN)
        message(FATAL_ERROR "REAP_LLAMA_DIR: libllama in ${REAP_LLAMA_DIR} is version ${llama_VERSION}, "
            "expected ${REAP_LLAMA_MIN} or newer")
    endif()
else()
    # An installed engine was built with options of its own, so that asking for some rules it out.
    if(NOT (REAP_PORTABLE OR REAP_CUDA OR REAP_HIP OR REAP_VULKAN OR REAP_METAL OR CMAKE_CROSSCOMPILING))
        find_package(llama ${REAP_LLAMA_MIN} CONFIG QUIET)
    endif()
    if(NOT llama_FOUND)
        set(flags "")
        foreach(name NATIVE AMX PORTABLE CUDA HIP VULKAN METAL)
            list(APPEND flags -DREAP_${name}=${REAP_${name}})
        endforeach()
        if(REAP_CUDA AND REAP_CUDA_ARCH)
            string(REPLACE ";" "," arch "${REAP_CUDA_ARCH}")
            list(APPEND flags "-DREAP_CUDA_ARCH=${arch}")
        endif()
        execute_process(
            COMMAND ${engine_env} bash "${CMAKE_SOURCE_DIR}/scripts/engine.sh" ${flags}
            OUTPUT_VARIABLE prefix OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE result)
        if(NOT result EQUAL 0)
            message(FATAL_ERROR "scripts/engine.sh could not provide libllama (see above)")
        endif()
        string(REGEX REPLACE ".*\n" "" prefix "${prefix}")
        find_package(llama ${REAP_LLAMA_MIN} CONFIG REQUIRED QUIET PATHS "${prefix}" NO_DEFAULT_PATH)
        # What src/engine/expert_backend.c needs and no installed engine has: the header of the very sources.
        set(REAP_ENGINE_HEADERS "${prefix}/../../llama-${llama_VERSION}-src/ggml/src")
        if(NOT EXISTS "${REAP_ENGINE_HEADERS}/ggml-backend-impl.h")
            unset(REAP_ENGINE_HEADERS)
        endif()
        set(REAP_ENGINE_SCRIPT "${CMAKE_SOURCE_DIR}/scripts/engine.sh")
        string(JOIN " " REAP_ENGINE_FLAGS ${flags})
    endif()
endif()
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/scripts/engine.sh")

# A shared ggml does not name OpenMP in its package, and our loops are to run on the threads that it has.
if(GGML_OPENMP_ENABLED AND NOT TARGET OpenMP::OpenMP_C)
    find_package(OpenMP QUIET)
endif()

if(REAP_ENGINE_SCRIPT)
    get_filename_component(REAP_ENGINE_TOOLS "${prefix}/../tools" ABSOLUTE)
else()
    get_filename_component(REAP_ENGINE_TOOLS "${llama_DIR}/../../../bin" ABSOLUTE)
endif()
set(REAP_ENGINE_VERSION "${llama_VERSION}")

# The interpreter of chat templates is in no library of the engine's: it is built from its sources, which are
# fetched for this alone where libllama is an installed one. Without them the program refuses chats.
execute_process(
    COMMAND ${engine_env} bash "${CMAKE_SOURCE_DIR}/scripts/engine.sh" -DREAP_PORTABLE=${REAP_PORTABLE} --jinja
    OUTPUT_VARIABLE jinja OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE result)
add_library(reap_jinja INTERFACE)
if(result EQUAL 0)
    string(REGEX REPLACE ".*\n" "" jinja "${jinja}")
    target_include_directories(reap_jinja SYSTEM INTERFACE "${jinja}/include")
    target_link_libraries(reap_jinja INTERFACE "${jinja}/lib/libjinja.a")
    target_compile_definitions(reap_jinja INTERFACE REAP_JINJA)
else()
    message(WARNING "the engine's sources could not be had: this build cannot render chat templates and refuses chats")
endif()
if(REAP_PORTABLE)
    set(REAP_ENGINE_SCRIPT "")
    set(REAP_ENGINE_TOOLS "")
    set(REAP_ENGINE_FLAGS "")
    add_compile_options("-ffile-prefix-map=${jinja}=jinja" "-ffile-prefix-map=${prefix}=engine")
endif()
add_library(reap_engine INTERFACE)
target_link_libraries(reap_engine INTERFACE llama)
# The package of a static engine does not name the libraries of CUDA that it needs.
if(GGML_CUDA AND NOT GGML_SHARED_LIB)
    find_package(CUDAToolkit REQUIRED)
    target_link_libraries(reap_engine INTERFACE CUDA::cublas CUDA::cudart)
endif()
message(STATUS "libllama ${REAP_ENGINE_VERSION}: ${llama_DIR}")
