/* stored.c - the layouts of blocks are those of ggml (ggml-common.h and ggml-quants.c, MIT). */
#include "stored.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "kernels/convert.h"

enum { SMALL = 32, SUPER = 256 };

static float half_at(const uint8_t *p)
{
    uint16_t bits;
    float f;
    memcpy(&bits, p, sizeof bits);
    convert_to_float(&bits, F16, 1, &f);
    return f;
}

/* ---- blocks of 32: the first half of the numbers is in the low halves of the bytes ---- */

static void from_q4(const uint8_t *b, bool minimum, float *to)
{
    const float d = half_at(b), m = minimum ? half_at(b + 2) : -8 * d;
    const uint8_t *q = b + (minimum ? 4 : 2);
    for (int i = 0; i < SMALL / 2; i++) {
        to[i] = minimum ? d * (float)(q[i] & 15) + m : d * (float)((q[i] & 15) - 8);
        to[i + SMALL / 2] = minimum ? d * (float)(q[i] >> 4) + m : d * (float)((q[i] >> 4) - 8);
    }
}

static void from_q5(const uint8_t *b, bool minimum, float *to)
{
    const float d = half_at(b), m = minimum ? half_at(b + 2) : 0;
    const uint8_t *high_at = b + (minimum ? 4 : 2), *q = high_at + 4;
    uint32_t high;
    memcpy(&high, high_at, sizeof high);
    for (int i = 0; i < SMALL / 2; i++) {
        const int low = (q[i] & 15) | (int)(high >> i & 1) << 4, up = (q[i] >> 4) | (int)(high >> (i + 16) & 1) << 4;
        to[i] = minimum ? d * (float)low + m : d * (float)(low - 16);
        to[i + SMALL / 2] = minimum ? d * (float)up + m : d * (float)(up - 16);
    }
}

static void from_q8(const uint8_t *b, float *to)
{
    const float d = half_at(b);
    for (int i = 0; i < SMALL; i++) to[i] = d * (float)(int8_t)b[2 + i];
}

/* ---- super-blocks of 256 ---- */

/* Eight scales and eight minima of 6 bits in 12 bytes. */
static void small_scale(const uint8_t *s, int i, int *scale, int *minimum)
{
    if (i < 4) {
        *scale = s[i] & 63;
        *minimum = s[i + 4] & 63;
        return;
    }
    *scale = (s[i + 4] & 15) | (s[i - 4] >> 6) << 4;
    *minimum = (s[i + 4] >> 4) | (s[i] >> 6) << 4;
}

/* 64 numbers at a time: 32 low halves, then the 32 high halves of the same bytes. */
static void from_q45_k(const uint8_t *b, bool five, float *to)
{
    const float d = half_at(b), dmin = half_at(b + 2);
    const uint8_t *scales = b + 4, *high = b + 16, *q = b + (five ? 48 : 16);
    for (int i = 0; i < 8; i++) {
        int scale, minimum;
        small_scale(scales, i, &scale, &minimum);
        const float s = d * (float)scale, m = dmin * (float)minimum;
        for (int k = 0; k < 32; k++) {
            const uint8_t byte = q[i / 2 * 32 + k];
            int v = i % 2 ? byte >> 4 : byte & 15;
            if (five) v |= (high[k] >> i & 1) << 4;
            to[i * 32 + k] = s * (float)v - m;
        }
    }
}

/* Two bits each, 128 numbers of 32 bytes; sixteen scales and minima of 4 bits. */
static void from_q2_k(const uint8_t *b, float *to)
{
    const float d = half_at(b + 80), dmin = half_at(b + 82);
    for (int i = 0; i < SUPER; i++) {
        const uint8_t scale = b[i / 16];
        const int v = b[16 + i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
        to[i] = d * (float)(scale & 15) * (float)v - dmin * (float)(scale >> 4);
    }
}

/* As two bits, with a third one in a mask; sixteen scales of 6 bits: the low 4 in 8 bytes, the high 2 in 4. */
static void from_q3_k(const uint8_t *b, float *to)
{
    const uint8_t *mask = b, *q = b + 32, *scales = b + 96;
    const float d = half_at(b + 108);
    for (int i = 0; i < SUPER; i++) {
        const int group = i / 16, low = scales[group % 8] >> (group / 8 * 4) & 15,
                  high = scales[8 + group % 4] >> (group / 4 * 2) & 3;
        const int v = q[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3, third = mask[i % 32] >> (i / 32) & 1;
        to[i] = d * (float)((low | high << 4) - 32) * (float)(v - (third ? 0 : 4));
    }
}

static void from_q6_k(const uint8_t *b, float *to)
{
    const float d = half_at(b + 208);
    for (int half = 0; half < 2; half++) {
        const uint8_t *low = b + half * 64, *high = b + 128 + half * 32;
        const int8_t *scale = (const int8_t *)b + 192 + half * 8;
        for (int part = 0; part < 4; part++)
            for (int k = 0; k < 32; k++) {
                const uint8_t byte = low[part % 2 * 32 + k];
                const int v = (part < 2 ? byte & 15 : byte >> 4) | (high[k] >> (2 * part) & 3) << 4;
                to[half * 128 + part * 32 + k] = d * (float)scale[part * 2 + k / 16] * (float)(v - 32);
            }
    }
}

static void from_block(StoredType type, const uint8_t *b, float *to)
{
    switch (type) {
    case STORED_Q4_0:
    case STORED_Q4_1:
        from_q4(b, type == STORED_Q4_1, to);
        return;
    case STORED_Q5_0:
    case STORED_Q5_1:
        from_q5(b, type == STORED_Q5_1, to);
        return;
    case STORED_Q8_0:
        from_q8(b, to);
        return;
    case STORED_Q2_K:
        from_q2_k(b, to);
        return;
    case STORED_Q3_K:
        from_q3_k(b, to);
        return;
    case STORED_Q4_K:
    case STORED_Q5_K:
        from_q45_k(b, type == STORED_Q5_K, to);
        return;
    case STORED_Q6_K:
        from_q6_k(b, to);
        return;
    default:
        return;
    }
}

/* ---- tensors ---- */

int64_t stored_count(const StoredTensor *t)
{
    int64_t n = 1;
    for (int i = 0; i < t->ndim; i++) n *= t->dim[i];
    return n;
}

void stored_shape_text(int ndim, const int64_t *dim, char text[STORED_SHAPE_TEXT])
{
    size_t used = (size_t)snprintf(text, STORED_SHAPE_TEXT, "[");
    for (int i = 0; i < ndim && used < STORED_SHAPE_TEXT; i++)
        used += (size_t)snprintf(text + used, STORED_SHAPE_TEXT - used, "%s%" PRId64, i ? "," : "", dim[i]);
    if (used < STORED_SHAPE_TEXT) snprintf(text + used, STORED_SHAPE_TEXT - used, "]");
}

bool stored_is_number(StoredType type) { return type != STORED_OTHER && type != STORED_I64; }

void stored_block(StoredType type, int64_t *numbers, size_t *bytes)
{
    static const struct {
        int64_t numbers;
        size_t bytes;
    } block[] = {[STORED_F32] = {1, 4},        [STORED_BF16] = {1, 2},       [STORED_F16] = {1, 2},
                 [STORED_F8] = {1, 1},         [STORED_F8_E5M2] = {1, 1},    [STORED_F64] = {1, 8},
                 [STORED_I64] = {1, 8},        [STORED_Q4_0] = {SMALL, 18},  [STORED_Q4_1] = {SMALL, 20},
                 [STORED_Q5_0] = {SMALL, 22},  [STORED_Q5_1] = {SMALL, 24},  [STORED_Q8_0] = {SMALL, 34},
                 [STORED_Q2_K] = {SUPER, 84},  [STORED_Q3_K] = {SUPER, 110}, [STORED_Q4_K] = {SUPER, 144},
                 [STORED_Q5_K] = {SUPER, 176}, [STORED_Q6_K] = {SUPER, 210}, [STORED_OTHER] = {1, 1}};
    *numbers = block[type].numbers;
    *bytes = block[type].bytes;
}

/* The file's bytes may lie anywhere: through an aligned buffer. */
static void plain_to_float(const uint8_t *from, DType type, int64_t count, float *to)
{
    uint64_t piece[512];
    const int64_t most = (int64_t)(sizeof piece / dtype_bytes(type));
    for (int64_t at = 0; at < count; at += most) {
        const int64_t n = count - at < most ? count - at : most;
        memcpy(piece, from + (size_t)at * dtype_bytes(type), (size_t)n * dtype_bytes(type));
        convert_to_float(piece, type, n, to + at);
    }
}

static void from_f64(const uint8_t *from, int64_t count, float *to)
{
    for (int64_t i = 0; i < count; i++) {
        double number;
        memcpy(&number, from + 8 * i, sizeof number);
        to[i] = (float)number;
    }
}

static void from_e5m2(const uint8_t *from, int64_t count, float *to)
{
    uint16_t half[256];
    float value[256];
    for (int i = 0; i < 256; i++) half[i] = (uint16_t)(i << 8);
    convert_to_float(half, F16, 256, value);
    for (int64_t i = 0; i < count; i++) to[i] = value[from[i]];
}

void stored_to_float(const StoredTensor *t, float factor, float *to)
{
    const int64_t count = stored_count(t);
    int64_t numbers;
    size_t bytes;
    stored_block(t->type, &numbers, &bytes);
    if (t->type == STORED_F8)
        for (int64_t i = 0; i < count; i++) to[i] = convert_e4m3_to_float(((const uint8_t *)t->data)[i]);
    else if (t->type == STORED_F8_E5M2)
        from_e5m2(t->data, count, to);
    else if (t->type == STORED_F64)
        from_f64(t->data, count, to);
    else if (numbers > 1)
        for (int64_t i = 0; i < count / numbers; i++)
            from_block(t->type, (const uint8_t *)t->data + (size_t)i * bytes, to + i * numbers);
    else
        plain_to_float(t->data, t->type == STORED_F32 ? F32 : t->type == STORED_BF16 ? BF16 : F16, count, to);
    if (factor == 1) return;
    for (int64_t i = 0; i < count; i++) to[i] *= factor;
}

/* By the bits: an exponent of ones. */
int64_t stored_find_infinite(const StoredTensor *t)
{
    const int64_t count = stored_count(t);
    const uint16_t half = t->type == STORED_BF16 ? 0x7f80 : 0x7c00;
    if (t->type == STORED_F32) {
        for (int64_t i = 0; i < count; i++) {
            uint32_t bits;
            memcpy(&bits, (const char *)t->data + 4 * i, sizeof bits);
            if ((bits & 0x7f800000) == 0x7f800000) return i;
        }
    } else if (t->type == STORED_F64) { /* what fp32 has no room for is infinite, too */
        for (int64_t i = 0; i < count; i++) {
            float number;
            from_f64((const uint8_t *)t->data + 8 * i, 1, &number);
            if (!isfinite(number)) return i;
        }
    } else if (t->type == STORED_BF16 || t->type == STORED_F16) {
        for (int64_t i = 0; i < count; i++) {
            uint16_t bits;
            memcpy(&bits, (const char *)t->data + 2 * i, sizeof bits);
            if ((bits & half) == half) return i;
        }
    } else if (t->type == STORED_F8) {
        for (int64_t i = 0; i < count; i++)
            if ((((const uint8_t *)t->data)[i] & 0x7f) == 0x7f) return i; /* e4m3 has no infinity */
    } else if (t->type == STORED_F8_E5M2) {
        for (int64_t i = 0; i < count; i++)
            if ((((const uint8_t *)t->data)[i] & 0x7c) == 0x7c) return i;
    }
    return -1;
}
