/* gg_type.c - the tensor types of ggml 0.25.1 and of ik_llama.cpp, and the kinds of GGUF keys, as tables.
 *
 * A row says how many elements a block has and how many bytes it takes; everything that cuts or copies
 * tensors follows from these numbers. Ids that ggml has removed (4, 5, 31-33, 36-38) or not given out
 * have no row and are refused by the reader. tests/unit/test_gguf_types.c compares every row of ggml's with
 * the engine. */
#include "base/mem.h"
#include "gguf/gg_part.h"

static const struct gg_type types[] = {
    [0] = {"f32", 1, 4, 0, 1},         [1] = {"f16", 1, 2, 0, 1},
    [2] = {"q4_0", 32, 18, 0, 1},      [3] = {"q4_1", 32, 20, 0, 1},
    [6] = {"q5_0", 32, 22, 0, 1},      [7] = {"q5_1", 32, 24, 0, 1},
    [8] = {"q8_0", 32, 34, 0, 1},      [9] = {"q8_1", 32, 36, 0, 1},
    [10] = {"q2_K", 256, 84, 0, 1},    [11] = {"q3_K", 256, 110, 0, 1},
    [12] = {"q4_K", 256, 144, 0, 1},   [13] = {"q5_K", 256, 176, 0, 1},
    [14] = {"q6_K", 256, 210, 0, 1},   [15] = {"q8_K", 256, 292, 0, 1},
    [16] = {"iq2_xxs", 256, 66, 0, 1}, [17] = {"iq2_xs", 256, 74, 0, 1},
    [18] = {"iq3_xxs", 256, 98, 0, 1}, [19] = {"iq1_s", 256, 50, 0, 1},
    [20] = {"iq4_nl", 32, 18, 0, 1},   [21] = {"iq3_s", 256, 110, 0, 1},
    [22] = {"iq2_s", 256, 82, 0, 1},   [23] = {"iq4_xs", 256, 136, 0, 1},
    [24] = {"i8", 1, 1, 0, 1},         [25] = {"i16", 1, 2, 0, 1},
    [26] = {"i32", 1, 4, 0, 1},        [27] = {"i64", 1, 8, 0, 1},
    [28] = {"f64", 1, 8, 0, 1},        [29] = {"iq1_m", 256, 56, 0, 1},
    [30] = {"bf16", 1, 2, 0, 1},       [34] = {"tq1_0", 256, 54, 0, 1},
    [35] = {"tq2_0", 256, 66, 0, 1},   [39] = {"mxfp4", 32, 17, 0, 1},
    [40] = {"nvfp4", 64, 36, 0, 1},    [41] = {"q1_0", 128, 18, 0, 1},
    [42] = {"q2_0", 64, 18, 0, 1},     [GG_N_TYPES - 1] = {NULL, 0, 0, 0, 0},
};
_Static_assert(sizeof types / sizeof *types == GG_N_TYPES, "a type id lies outside 0..GG_N_TYPES-1");

/* Types of ik_llama.cpp alone, ascending: ggml.h and the type traits of ggml.c there (8337e4cd3, 2026-08-15),
 * sizes as sizeof says of the blocks of ggml-common.h. Those of intermediate results (q8_K16, ...) are left
 * out. */
static const struct {
    uint32_t id;
    struct gg_type type;
} ik_types[] = {
    {133, {"q6_0", 32, 26, 0, 1}},        {134, {"iq1_bn", 64, 13, 2, 1}},
    {135, {"iq2_bn", 64, 16, 4, 1}},      {137, {"iq2_k", 256, 76, 0, 1}},
    {138, {"iq3_k", 256, 110, 0, 1}},     {139, {"iq4_k", 256, 144, 0, 1}},
    {140, {"iq5_k", 256, 176, 0, 1}},     {141, {"iq6_k", 256, 212, 0, 1}},
    {144, {"iq4_ks", 256, 136, 4, 1}},    {145, {"iq2_ks", 256, 70, 2, 1}},
    {146, {"iq4_kss", 256, 128, 4, 1}},   {151, {"q8_KV", 32, 32, 8, 1}},
    {152, {"iq5_ks", 256, 168, 4, 1}},    {153, {"iq2_kt", 256, 68, 4, 1}},
    {154, {"iq3_kt", 256, 100, 4, 1}},    {155, {"iq4_kt", 256, 128, 4, 1}},
    {156, {"iq3_ks", 256, 102, 2, 1}},    {157, {"iq2_kl", 256, 86, 2, 1}},
    {158, {"iq1_kt", 256, 56, 4, 1}},     {202, {"q4_0_r8", 32, 18, 0, 8}},
    {206, {"q5_0_r4", 32, 22, 0, 4}},     {208, {"q8_0_r8", 32, 34, 0, 8}},
    {210, {"q2_k_r4", 256, 84, 0, 4}},    {211, {"q3_k_r4", 256, 110, 0, 4}},
    {212, {"q4_k_r4", 256, 144, 0, 4}},   {213, {"q5_k_r4", 256, 176, 0, 4}},
    {214, {"q6_k_r4", 256, 210, 0, 4}},   {216, {"iq2_xxs_r4", 256, 66, 0, 4}},
    {217, {"iq2_xs_r4", 256, 74, 0, 4}},  {218, {"iq3_xxs_r4", 256, 98, 0, 4}},
    {219, {"iq1_s_r4", 32, 6, 2, 4}},     {220, {"iq4_nl_r4", 32, 18, 0, 4}},
    {221, {"iq3_s_r4", 256, 110, 0, 4}},  {222, {"iq2_s_r4", 256, 82, 0, 4}},
    {223, {"iq4_xs_r8", 256, 136, 0, 8}}, {229, {"iq1_m_r4", 32, 7, 2, 4}},
    {230, {"bf16_r16", 1, 2, 0, 16}},     {233, {"q6_0_r4", 32, 26, 0, 4}},
    {335, {"iq2_bn_r4", 64, 16, 4, 4}},   {337, {"iq2_k_r4", 256, 76, 0, 4}},
    {338, {"iq3_k_r4", 256, 110, 0, 4}},  {339, {"iq4_k_r4", 256, 144, 0, 4}},
    {340, {"iq5_k_r4", 256, 176, 0, 4}},  {344, {"iq4_ks_r4", 256, 136, 4, 4}},
    {352, {"iq5_ks_r4", 256, 168, 4, 4}}, {353, {"mxfp4_r8", 32, 17, 0, 8}},
    {397, {"q8_k_r16", 256, 258, 0, 16}}, {398, {"q8_KV_r8", 32, 32, 4, 8}},
    {399, {"q8_k_r8", 256, 258, 0, 8}},
};

static const char *const kind_names[] = {
    [GG_U8] = "u8",   [GG_I8] = "i8",   [GG_U16] = "u16",   [GG_I16] = "i16", [GG_U32] = "u32",
    [GG_I32] = "i32", [GG_F32] = "f32", [GG_BOOL] = "bool", [GG_STR] = "str", [GG_ARR] = "arr",
    [GG_U64] = "u64", [GG_I64] = "i64", [GG_F64] = "f64",
};
_Static_assert(sizeof kind_names / sizeof *kind_names == GG_N_KINDS, "a kind has no name");

const uint8_t gg_kind_bytes[GG_N_KINDS] = {
    [GG_U8] = 1,  [GG_I8] = 1,   [GG_U16] = 2, [GG_I16] = 2, [GG_U32] = 4, [GG_I32] = 4,
    [GG_F32] = 4, [GG_BOOL] = 1, [GG_U64] = 8, [GG_I64] = 8, [GG_F64] = 8,
};

const struct gg_type *gg_type_get(uint32_t id)
{
    if (id < GG_N_TYPES)
        return types[id].name ? &types[id] : NULL;
    for (size_t i = 0; i < sizeof ik_types / sizeof *ik_types && ik_types[i].id <= id; i++)
        if (ik_types[i].id == id)
            return &ik_types[i].type;
    return NULL;
}

bool gg_type_size(const struct gg_type *t, const uint64_t *ne, uint64_t *bytes)
{
    uint64_t row, rows;
    return mul_u64(ne[0] / t->block, t->bytes, &row) && add_u64(row, t->row_bytes, &row) &&
           mul_u64(ne[1], ne[2], &rows) && mul_u64(rows, ne[3], &rows) && mul_u64(rows, row, bytes);
}

const char *gg_kind_name(enum gg_kind k)
{
    return (unsigned)k < GG_N_KINDS ? kind_names[k] : "unknown";
}
