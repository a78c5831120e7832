# Toolchain: programs for 64-bit ARM on another machine, with Debian's cross compiler.
# REAP_SYSROOT is the folder with the libraries, which scripts/arm64-sysroot.sh makes. Programs carry its path,
# so that with qemu in binfmt_misc they run in place like this machine's own.

set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)

set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES REAP_SYSROOT)
if(NOT IS_DIRECTORY "${REAP_SYSROOT}/usr/lib/aarch64-linux-gnu")
    message(FATAL_ERROR "REAP_SYSROOT is '${REAP_SYSROOT}', expected the folder that scripts/arm64-sysroot.sh prints")
endif()
set(CMAKE_SYSROOT "${REAP_SYSROOT}")
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)

set(ENV{PKG_CONFIG_LIBDIR} "${REAP_SYSROOT}/usr/lib/aarch64-linux-gnu/pkgconfig:${REAP_SYSROOT}/usr/share/pkgconfig")
set(ENV{PKG_CONFIG_SYSROOT_DIR} "${REAP_SYSROOT}")
