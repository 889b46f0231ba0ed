/* isa_rows.h - functions of numbers, one, and rows of them: exponentials, quantising, norms, softmax. Part of isa_kernels.h. */

/* ---- functions of one number --------------------------------------------------------------------------------------- */

/* 2^x for x <= 127. Split into 2^n 2^f with |f| <= 1/2; the polynomial is the Chebyshev fit of degree 6 (relative error
 * 3e-9, below rounding). Below -126 the result is 2^-126. */
INLINE Vec vec_exp2(Vec x)
{
    const Vec magic = vec_all(12582912.0f); /* 1.5 * 2^23: adding it rounds to an integer in the low bits */
    x = vec_max(vec_all(-126.0f), x);       /* in this order a NaN stays one */
    Vec shifted = x + magic;
    Vec f = x - (shifted - magic);
    Vec p = vec_all(0.00015469732f);
    p = p * f + 0.00134004322f;
    p = p * f + 0.0096180256f;
    p = p * f + 0.0555032721f;
    p = p * f + 0.240226512f;
    p = p * f + 0.693147207f;
    p = p * f + 1.0f;
    return (Vec)((IntVec)p + ((IntVec)shifted << 23));
}

/* 1 / (1 + e^-x); below -87 it is 2^-126 */
INLINE Vec vec_sigmoid(Vec x) { return 1.0f / (1.0f + vec_exp2(vec_max(vec_all(-87.0f), x) * -1.44269504f)); }

INLINE Vec vec_erf(Vec x)
{
    for (int i = 0; i < LANES; i++) x[i] = erff(x[i]);
    return x;
}

INLINE Vec vec_activate(Vec x, Activation act)
{
    switch (act) {
    case ACT_GELU_TANH: /* (1 + tanh u) / 2 = sigmoid(2u) */
        return x * vec_sigmoid(x * (1.59576912f + 0.0713548163f * x * x));
    case ACT_GELU_ERF:
        return 0.5f * x * (1.0f + vec_erf(x * 0.707106781f));
    case ACT_SILU:
        return x * vec_sigmoid(x);
    case ACT_RELU:
        return vec_max(x, (Vec){0});
    case ACT_NONE:
        break;
    }
    return x;
}

INLINE void vec_store_bf16(uint16_t *p, Vec v)
{
#if defined(__AVX512BF16__)
    *(HalfVec *)p = (HalfVec)_mm512_cvtneps_pbh((__m512)v);
#else
    IntVec bits = (IntVec)v;
    IntVec rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    rounded = (IntVec)vec_if(v != v, (Vec)(bits >> 16 | 0x40), (Vec)rounded);
    *(HalfVec *)p = __builtin_convertvector(rounded, HalfVec);
#endif
}

/* The first n < LANES lanes: part loads zeros into the others, put_part leaves alone what stands behind. By masks where there are some: copied
 * by way of the stack, a row of 24 numbers took three times as long (SPEED.md). */
#if LANES == 16 && defined(__AVX512BW__) && defined(__AVX512VL__)
INLINE __mmask16 first_lanes(int64_t n) { return (__mmask16)((1u << n) - 1); }
INLINE Vec vec_part(const float *p, int64_t n) { return (Vec)_mm512_maskz_loadu_ps(first_lanes(n), p); }
INLINE void vec_put_part(Vec v, int64_t n, float *to) { _mm512_mask_storeu_ps(to, first_lanes(n), (__m512)v); }
INLINE HalfVec half_part(const uint16_t *p, int64_t n) { return (HalfVec)_mm256_maskz_loadu_epi16(first_lanes(n), p); }
INLINE void half_put_part(HalfVec v, int64_t n, uint16_t *to)
{
    _mm256_mask_storeu_epi16(to, first_lanes(n), (__m256i)v);
}
#else
#if LANES == 8
INLINE __m256i first_lanes(int64_t n) { return (__m256i)((IntVec){0, 1, 2, 3, 4, 5, 6, 7} < (int32_t)n); }
INLINE Vec vec_part(const float *p, int64_t n) { return (Vec)_mm256_maskload_ps(p, first_lanes(n)); }
INLINE void vec_put_part(Vec v, int64_t n, float *to) { _mm256_maskstore_ps(to, first_lanes(n), (__m256)v); }
#else
INLINE Vec vec_part(const float *p, int64_t n)
{
    Vec t = {0};
    memcpy(&t, p, (size_t)n * 4);
    return t;
}
INLINE void vec_put_part(Vec v, int64_t n, float *to) { memcpy(to, &v, (size_t)n * 4); }
#endif
INLINE HalfVec half_part(const uint16_t *p, int64_t n)
{
    HalfVec t = {0};
    memcpy(&t, p, (size_t)n * 2);
    return t;
}
INLINE void half_put_part(HalfVec v, int64_t n, uint16_t *to) { memcpy(to, &v, (size_t)n * 2); }
#endif

INLINE Vec vec_some(const float *p, int64_t n) { return n >= LANES ? vec_load(p) : vec_part(p, n); }

INLINE void vec_put(Vec v, int64_t n, DType dtype, void *to)
{
    if (dtype == F32) {
        if (n >= LANES)
            vec_store(to, v);
        else
            vec_put_part(v, n, to);
    } else if (n >= LANES) {
        vec_store_bf16(to, v);
    } else {
        HalfVec half;
        vec_store_bf16((uint16_t *)&half, v);
        half_put_part(half, n, to);
    }
}

/* ---- whole numbers of 8 bits --------------------------------------------------------------------------------------- */

static float peak(const float *x, int64_t n)
{
    Vec most = {0}, bad = {0}; /* bad: NaN where a number was none */
    for (int64_t i = 0; i < n; i += LANES) {
        Vec v = vec_some(x + i, n - i);
        most = vec_max(vec_max(v, -v), most);
        bad += v * 0.0f;
    }
    float out = 0;
    for (int i = 0; i < LANES; i++) out = most[i] > out ? most[i] : out;
    for (int i = 0; i < LANES; i++) out += bad[i];
    return out;
}

/* Adding 1.5 * 2^23 rounds to a whole number, which then stands in the low bits. */
static void quantize(const float *x, int64_t n, float times, void *to)
{
    const Vec magic = vec_all(12582912.0f);
    for (int64_t i = 0; i < n; i += LANES) {
        Vec shifted = vec_some(x + i, n - i) * times + magic;
        int64_t m = n - i < LANES ? n - i : LANES;
#if QUADS
        ByteVec bytes = __builtin_convertvector((IntVec)shifted + 128, ByteVec);
        memcpy((uint8_t *)to + i, &bytes, (size_t)m);
#else
        vec_put(shifted - magic, m, F32, (float *)to + i);
#endif
    }
}

static void rescale(float *c, int64_t c_stride, int64_t rows, int64_t columns, const IsaScales *s)
{
    for (int64_t r = 0; r < rows; r++, c += c_stride)
        for (int64_t n = 0; n < columns; n += LANES) {
#if QUADS
            IntVec sum = *(const IntVec *)(c + n) - 128 * *(const IntVec *)(s->sum + n);
            Vec v = __builtin_convertvector(sum, Vec);
#else
            Vec v = vec_load(c + n);
#endif
            vec_store(c + n, v * (s->row[r] * vec_load(s->column + n)));
        }
}

/* ---- rows of numbers ----------------------------------------------------------------------------------------------- */

static void load(const void *from, DType dtype, int64_t n, float *to)
{
    int64_t i = 0;
    if (dtype == BF16)
        for (; i + LANES <= n; i += LANES) vec_store(to + i, vec_bf16((const uint16_t *)from + i));
    convert_to_float((const char *)from + (size_t)i * dtype_bytes(dtype), dtype, n - i, to + i);
}

static void store(const float *from, int64_t n, DType dtype, void *to)
{
    for (int64_t i = 0; i < n; i += LANES)
        vec_put(vec_some(from + i, n - i), n - i, dtype, (char *)to + (size_t)i * dtype_bytes(dtype));
}

static void round_bf16(const float *from, int64_t n, float *to)
{
    for (int64_t i = 0; i < n; i += LANES) {
        uint16_t half[LANES];
        vec_store_bf16(half, vec_some(from + i, n - i));
        vec_put(vec_bf16(half), n - i, F32, to + i);
    }
}

static void scale(float *x, int64_t n, float factor)
{
    for (int64_t i = 0; i < n; i++) x[i] *= factor;
}

static void activate(float *x, int64_t n, Activation act)
{
    for (int64_t i = 0; i < n; i += LANES) vec_put(vec_activate(vec_some(x + i, n - i), act), n - i, F32, x + i);
}

INLINE double double_total(DoubleVec v)
{
    double total = 0;
    for (int i = 0; i < LANES / 4; i++) total += v[i] + v[i + LANES / 4];
    return total;
}

INLINE double vec_total(Vec v)
{
    return double_total(__builtin_convertvector(LOW_HALF(v), DoubleVec) +
                        __builtin_convertvector(HIGH_HALF(v), DoubleVec));
}

static double sum(const float *x, int64_t n)
{
    Vec a = {0}, b = {0}, c = {0}, d = {0};
    int64_t i = 0;
    for (; i + 4 * LANES <= n; i += 4 * LANES) {
        a += vec_load(x + i);
        b += vec_load(x + i + LANES);
        c += vec_load(x + i + 2 * LANES);
        d += vec_load(x + i + 3 * LANES);
    }
    for (; i < n; i += LANES) a += vec_some(x + i, n - i);
    return vec_total(a) + vec_total(b) + vec_total(c) + vec_total(d);
}

static double sum_squares(const float *x, int64_t n, float less)
{
    Vec a = {0}, b = {0}, u, v;
    int64_t i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        u = vec_load(x + i) - less;
        v = vec_load(x + i + LANES) - less;
        a += u * u;
        b += v * v;
    }
    DoubleVec rest = {0}; /* all of a row of 24 */
    for (; i + LANES / 2 <= n; i += LANES / 2) {
        const DoubleVec more = __builtin_convertvector(*(const FloatHalf *)(x + i) - less, DoubleVec);
        rest += more * more;
    }
    double total = vec_total(a) + vec_total(b) + double_total(rest);
    for (; i < n; i++) total += (double)(x[i] - less) * (double)(x[i] - less);
    return total;
}

/* Here and in `finish` *given is copied: what is written might else be it, and it would be read again for each vector. */
static void affine(const float *x, int64_t n, const IsaAffine *given, DType dtype, void *out)
{
    const IsaAffine own = *given, *const f = &own;
    for (int64_t i = 0; i < n; i += LANES) {
        Vec v = (vec_some(x + i, n - i) - f->less) * f->times;
        if (f->gain) v *= vec_some(f->gain + i, n - i) + f->more;
        if (f->bias) v += vec_some(f->bias + i, n - i);
        vec_put(vec_activate(v, f->act), n - i, dtype, (char *)out + (size_t)i * dtype_bytes(dtype));
    }
}

static void rotate(float *x, int64_t pairs, const float *cosine, const float *sine)
{
    int64_t i = 0;
    for (; i + LANES <= pairs; i += LANES) { /* even and odd numbers apart, and together again */
        Vec first = vec_load(x + 2 * i), second = vec_load(x + 2 * i + LANES);
        Vec re = __builtin_shuffle(first, second, EVEN), im = __builtin_shuffle(first, second, EVEN + 1);
        Vec c = vec_load(cosine + i), s = vec_load(sine + i);
        Vec real = re * c - im * s, imaginary = re * s + im * c;
        vec_store(x + 2 * i, __builtin_shuffle(real, imaginary, WOVEN));
        vec_store(x + 2 * i + LANES, __builtin_shuffle(real, imaginary, WOVEN + LANES / 2));
    }
    for (; i < pairs; i++) {
        float re = x[2 * i], im = x[2 * i + 1];
        x[2 * i] = re * cosine[i] - im * sine[i];
        x[2 * i + 1] = re * sine[i] + im * cosine[i];
    }
}

INLINE Vec softmax_mask(Vec v, int64_t n, float outside)
{
    return vec_if(EVEN / 2 < (int32_t)n, v, vec_all(outside)); /* EVEN / 2: the lane's number */
}

/* Of no NaN. */
INLINE float vec_highest(Vec v)
{
#if LANES == 16
    const __m256 half = _mm256_max_ps((__m256)LOW_HALF(v), (__m256)HIGH_HALF(v));
    __m128 most = _mm_max_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
#else
    __m128 most = _mm_max_ps((__m128)LOW_HALF(v), (__m128)HIGH_HALF(v));
#endif
    most = _mm_max_ps(most, _mm_movehl_ps(most, most));
    return most[0] > most[1] ? most[0] : most[1];
}

/* With a bias the scores in units of log 2 are stored on the way; without one they are scaled again, which is cheaper. */
INLINE float softmax_highest(float *s, int64_t keys, float scale, const float *bias)
{
    Vec high = vec_all(-INFINITY), other = high;
    int64_t i = 0;
    for (; !bias && i + 2 * LANES <= keys; i += 2 * LANES) {
        high = vec_max(vec_load(s + i) * scale, high);
        other = vec_max(vec_load(s + i + LANES) * scale, other);
    }
    for (; i < keys; i += LANES) {
        int64_t n = keys - i;
        Vec v = vec_some(s + i, n) * scale;
        if (bias) {
            v = vec_fma(vec_some(bias + i, n), vec_all(1.44269504f), v);
            vec_put(v, n, F32, s + i);
        }
        high = vec_max(n < LANES ? softmax_mask(v, n, -INFINITY) : v, high);
    }
    return vec_highest(vec_max(other, high));
}

static void softmax(float *s, int64_t keys, float times, const float *bias, IsaSoftmax *state)
{
    float scale = times * 1.44269504f, highest = softmax_highest(s, keys, scale, bias);
    if (bias) scale = 1;
    if (state->highest > highest) highest = state->highest;
    if (highest == -INFINITY) highest = 0; /* every key so far is masked */
    Vec total = {0};
    for (int64_t i = 0; i < keys; i += LANES) {
        int64_t n = keys - i;
        Vec p = vec_exp2(vec_some(s + i, n) * scale - highest);
        if (n < LANES) p = softmax_mask(p, n, 0);
        total += p;
        vec_put(p, n, F32, s + i);
    }
    if (state->highest == -INFINITY)
        state->factor =
            0; /* the first block of keys: what exp2f says, too, in half as much time as all else of a short row */
    else
        state->factor = state->highest == highest ? 1 : exp2f(state->highest - highest);
    state->sum = state->sum * state->factor + (float)vec_total(total);
    state->highest = highest;
}

INLINE void finish_vec(const float *c, const float *other, const IsaEpilogue *e, int64_t at, int64_t n, void *out)
{
    Vec v = vec_load(c);
    if (e->bias) v += vec_some(e->bias + at, n);
    v = vec_activate(v, e->act);
    if (other) v *= vec_load(other);
    if (e->gate) v *= vec_some(e->gate + at, n);
    if (e->add) v += vec_some(out, n);
    vec_put(v, n, e->dtype, out);
}

static void finish(const float *c, int64_t c_stride, int64_t rows, int64_t columns, const IsaEpilogue *given, void *out,
                   int64_t out_stride)
{
    const IsaEpilogue own = *given, *const e = &own;
    size_t bytes = dtype_bytes(e->dtype);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j += LANES) {
            int64_t at = i * c_stride + j;
            finish_vec(c + at, e->other ? e->other + at : NULL, e, j, columns - j,
                       (char *)out + (size_t)(i * out_stride + j) * bytes);
        }
}
