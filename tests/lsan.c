/* lsan.c - what the leak sanitizer is to pass over, in sanitized builds of the program.
 *
 * The engine (llama.cpp v0.5.0, ggml-rpc.cpp) keeps an entry per RPC server for its whole life, in maps that end before leaks are
 * looked for. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_options(void);

__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void)
{
    return "leak:ggml_backend_rpc_add_server\nleak:ggml_backend_rpc_buffer_type\n";
}

__attribute__((visibility("default"))) const char *__lsan_default_options(void)
{
    return "print_suppressions=0";
}
