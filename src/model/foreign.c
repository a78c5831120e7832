/* foreign.c - see foreign.h. A kind of file is a row. Sources: the safetensors format (8 bytes of length, then the
 * header's JSON); git-lfs.com/spec/v1; PyTorch's archives; general.type as in gguf-py of llama.cpp v0.5.0
 * (constants.py), where projectors of before have the architecture 'clip' alone, control vectors 'controlvector'. */
#include "model/foreign.h"
#include "base/file.h"

#include <string.h>
#include <strings.h>
#include <unistd.h>

#define HEAD 64 /* of a file's beginning */

struct beginning {
    uint8_t s[HEAD];
    size_t n;
};

static bool begins(const struct beginning *b, const char *s)
{
    return b->n >= strlen(s) && !memcmp(b->s, s, strlen(s));
}

static bool is_lfs(const struct beginning *b)
{
    return begins(b, "version https://git-lfs.github.com/spec/v1");
}

static bool is_safetensors(const struct beginning *b) /* its header is of less than 4 GiB, and an object */
{
    return b->n > 8 && b->s[8] == '{' && !memcmp(b->s + 4, "\0\0\0\0", 4);
}

/* Whether the text in it begins so, capitals or not: behind a byte order mark, blanks and line ends. */
static bool text_begins(const struct beginning *b, const char *s)
{
    size_t at = begins(b, "\xef\xbb\xbf") ? 3 : 0;
    while (at < b->n && strchr(" \t\r\n", b->s[at]) && b->s[at])
        at++;
    return b->n - at >= strlen(s) && !strncasecmp((const char *)b->s + at, s, strlen(s));
}

static bool is_empty(const struct beginning *b)
{
    return b->n == 0;
}

static bool is_json(const struct beginning *b)
{
    return text_begins(b, "{") || text_begins(b, "[");
}

static bool is_packed(const struct beginning *b) /* gzip, bzip2, xz, Zstandard, 7-Zip */
{
    return begins(b, "\x1f\x8b") || begins(b, "BZh") ||
           begins(b, "\xfd"
                     "7zXZ") ||
           begins(b, "\x28\xb5\x2f\xfd") || begins(b, "7z\xbc\xaf");
}

static bool is_arrays(const struct beginning *b) /* NumPy, HDF5 */
{
    return begins(b, "\x93NUMPY") || begins(b, "\x89HDF\r\n");
}

static bool is_modelfile(const struct beginning *b)
{
    return text_begins(b, "FROM ");
}

static bool is_pickle(const struct beginning *b)
{
    return begins(b, "PK\x03\x04") || (begins(b, "\x80") && b->n > 1 && b->s[1] >= 2 && b->s[1] <= 5);
}

static bool is_page(const struct beginning *b)
{
    return text_begins(b, "<!doctype") || text_begins(b, "<html");
}

static bool is_old(const struct beginning *b)
{
    return begins(b, "tjgg") || begins(b, "lmgg") || begins(b, "fmgg");
}

static const struct {
    bool (*is)(const struct beginning *b);
    const char *what; /* the folder that the file lies in stands behind it */
} kinds[] = {
    {is_empty, "is empty: nothing was loaded into it, or written; it lies in"},
    {is_lfs, "is a pointer of Git LFS, not the model: run 'git lfs pull' in"},
    {is_safetensors, "is a safetensors file, a part of a checkpoint: give the folder that it lies in,"},
    {is_json, "is a JSON file, not a model: a checkpoint is given by its folder, such as"},
    {is_pickle,
     "holds pickled weights (PyTorch) or is an archive, which is not read: convert it to safetensors, and "
     "give the folder, such as"},
    {is_packed, "is compressed: unpack it first; it lies in"},
    {is_arrays, "holds arrays of NumPy or Keras, not a model in safetensors or GGUF; it lies in"},
    {is_modelfile,
     "is a Modelfile of Ollama, not the model: give the GGUF file that FROM names in it; it lies in"},
    {is_page,
     "is a web page, not the model: a download took the page in its place (on the hub, addresses of files "
     "have /resolve/, those of pages /blob/); it lies in"},
    {is_old, "is a file of the time before GGUF, which the engine does not read any more: it "
             "lies in"},
};

bool foreign_file(const char *path, struct err *e)
{
    struct beginning b = {.n = 0};
    uint64_t size;
    int fd = file_open_read(path, &size, e);
    if (fd < 0)
        return false;
    b.n = size < HEAD ? (size_t)size : HEAD;
    bool ok = file_pread(fd, b.s, b.n, 0, e) || err_ctx(e, "%s", path);
    close(fd);
    char *dir = path_dir(path);
    for (size_t i = 0; ok && i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].is(&b))
            ok = err_set(e, ERR_INPUT, "'%s' %s '%s'", path, kinds[i].what, dir);
    free(dir);
    return ok;
}

static bool key_is(const struct gg_file *f, const char *key, const char *value)
{
    const char *s;
    uint64_t n;
    return gg_key_str(gg_find(f, key), &s, &n) && n == strlen(value) && !memcmp(s, value, n);
}

bool foreign_gguf(const struct gg_file *f, struct err *e)
{
    static const struct {
        const char *key, *value, *what;
    } types[] = {
        {"general.type", "mmproj",
         "is a projector (for images or sound), not a model: give the model that it belongs to"},
        {"general.type", "adapter",
         "is an adapter (LoRA), not a model: give the model that it was made for, or merge them first (llama-export-lora)"},
        {"general.type", "imatrix",
         "is an importance matrix, not a model: reap stats import makes statistics of it; give the model it was made from"},
        {"general.architecture", "clip",
         "is a projector (for images or sound), not a model: give the model that it belongs to"},
        {"general.architecture", "controlvector",
         "is a control vector, not a model: give the model that it was made for"},
    };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (key_is(f, types[i].key, types[i].value))
            return err_set(e, ERR_INPUT, "%s", types[i].what);
    return true;
}

bool foreign_model(const char *path, struct err *e)
{
    struct err ignored = {0};
    if (file_is_dir(path) || !file_exists(path))
        return true;
    if (!foreign_file(path, e))
        return false;
    struct gg_file *f = gg_open(path, &ignored);
    bool ok = !f || foreign_gguf(f, e) || err_ctx(e, "%s", path);
    gg_free(f);
    return ok;
}
