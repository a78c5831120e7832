/* fuzz_spm.c - any bytes as a SentencePiece model.
 *
 * Parsing succeeds exactly when no error is set. What was parsed can become text of a GGUF file: pieces are
 * UTF-8 without a NUL, scores are finite, types are known. */
#include "base/text.h"
#include "fuzz.h"
#include "tokenizer/tok_part.h"

#include <math.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct spm m;
    struct err e = {0};
    bool ok = spm_parse(data, size, &m, &e);
    fuzz_told(ok, &e);
    MUST(ok || e.code == ERR_INPUT);
    MUST(!ok || m.n > 0);
    for (uint32_t i = 0; ok && i < m.n; i++) {
        const struct spm_piece *p = &m.pieces[i];
        MUST(p->text && *p->text && utf8_valid(p->text, strlen(p->text)));
        MUST(isfinite(p->score) && p->type >= TOK_NORMAL && p->type <= TOK_BYTE);
    }
    MUST(!ok || (m.bos_id >= -1 && m.bos_id < TOK_MAX && m.eos_id >= -1 && m.unk_id < TOK_MAX));
    spm_clear(&m);
    return 0;
}
