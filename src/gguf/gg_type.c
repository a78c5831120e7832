/* gg_type.c - the tensor types of ggml 0.25.1 and the kinds of GGUF keys, as tables.
 *
 * A row says how many elements a block has and how many bytes it takes; everything that cuts or copies
 * tensors follows from these two numbers. Ids that ggml has removed (4, 5, 31-33, 36-38) or not given out
 * have no row and are refused by the reader. tests/unit/test_gguf_types.c compares every row with the
 * engine. */
#include "gguf/gg_part.h"

static const struct gg_type types[] = {
    [0] = {"f32", 1, 4},         [1] = {"f16", 1, 2},         [2] = {"q4_0", 32, 18},
    [3] = {"q4_1", 32, 20},      [6] = {"q5_0", 32, 22},      [7] = {"q5_1", 32, 24},
    [8] = {"q8_0", 32, 34},      [9] = {"q8_1", 32, 36},      [10] = {"q2_K", 256, 84},
    [11] = {"q3_K", 256, 110},   [12] = {"q4_K", 256, 144},   [13] = {"q5_K", 256, 176},
    [14] = {"q6_K", 256, 210},   [15] = {"q8_K", 256, 292},   [16] = {"iq2_xxs", 256, 66},
    [17] = {"iq2_xs", 256, 74},  [18] = {"iq3_xxs", 256, 98}, [19] = {"iq1_s", 256, 50},
    [20] = {"iq4_nl", 32, 18},   [21] = {"iq3_s", 256, 110},  [22] = {"iq2_s", 256, 82},
    [23] = {"iq4_xs", 256, 136}, [24] = {"i8", 1, 1},         [25] = {"i16", 1, 2},
    [26] = {"i32", 1, 4},        [27] = {"i64", 1, 8},        [28] = {"f64", 1, 8},
    [29] = {"iq1_m", 256, 56},   [30] = {"bf16", 1, 2},       [34] = {"tq1_0", 256, 54},
    [35] = {"tq2_0", 256, 66},   [39] = {"mxfp4", 32, 17},    [40] = {"nvfp4", 64, 36},
    [41] = {"q1_0", 128, 18},    [42] = {"q2_0", 64, 18},     [GG_N_TYPES - 1] = {NULL, 0, 0},
};
_Static_assert(sizeof types / sizeof *types == GG_N_TYPES, "a type id lies outside 0..GG_N_TYPES-1");

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
    return id < GG_N_TYPES && types[id].name ? &types[id] : NULL;
}

const char *gg_kind_name(enum gg_kind k)
{
    return (unsigned)k < GG_N_KINDS ? kind_names[k] : "unknown";
}
