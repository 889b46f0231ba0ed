/* test_cuda_host - the CUDA back end without a device: its own kernels as they are written, run on the host (host_device.h), its
 * calls of cuBLASLt and cuDNN answered by plain code (host_*.c). Every case of tests/ops against ref, in fp32 and bf16, with
 * cuDNN and without, with fused epilogues and without. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/convert.h"
#include "kernels/cuda/cuda.h"
#include "tests/cuda/host.h"
#include "tests/ops/cases.h"

static bool fp8, int8; /* ask for them: products, scores of attention */

static Backend *opened(DType compute)
{
    Backend *be = NULL;
    backend_register_cuda(&cuda_kernels);
    const BackendOptions options = {
        .kind = BACKEND_CUDA, .compute = compute, .quantized = fp8 ? E4M3 : F32, .scores = int8 ? INT8 : F32};
    Status s = backend_open(&options, &be);
    if (failed(s)) fail_msg("%s", s.message);
    return be;
}

/* The cases whose op begins with `op`. */
static void check(DType compute, const char *name, const char *op)
{
    Backend *be = opened(compute);
    cuda_always_cudnn(be);
    const int bad = case_compare_all(be, name, op);
    backend_close(&be);
    assert_int_equal(bad, 0);
}

static void test_fp32(void **state)
{
    (void)state;
    check(F32, "fp32", "");
}

static void test_bf16(void **state)
{
    (void)state;
    host_runs = 0;
    check(BF16, "bf16", "");
    assert_true(host_runs > 10); /* attention and convolutions went to cuDNN */
}

/* In pieces of frames, of one and of some: the same numbers, and more runs. */
static void test_convs_in_pieces(void **state)
{
    (void)state;
    int64_t runs[3];
    for (int i = 0; i < 3; i++) {
        Backend *be = opened(BF16);
        cuda_always_cudnn(be);
        if (i) cuda_bound_convs(be, i == 1 ? 1 : 4000);
        host_runs = 0;
        assert_int_equal(case_compare_all(be, "in pieces", "conv"), 0);
        runs[i] = host_runs;
        backend_close(&be);
    }
    assert_true(runs[1] > runs[2] && runs[2] > runs[0]);
}

/* What a decoder of 720p asks for with sixteen frames at once, and what never has to be cut. */
static void test_pieces_count_in_32_bits(void **state)
{
    (void)state;
    static const struct {
        int64_t frames, height, width;
        Conv conv;
        int64_t at_once;
    } row[] = {
        {16, 720, 1280, {.in = 192, .out = 96, .kernel = {3, 3, 3}, .stride = {1, 1, 1}}, 8}, /* 10 seen, 1.8e9 */
        {16, 720, 1280, {.in = 96, .out = 96, .kernel = {3, 3, 3}, .stride = {1, 1, 1}}, 16},
        {16, 720, 1280, {.in = 96, .out = 384, .kernel = {1, 1, 1}, .stride = {1, 1, 1}}, 6}, /* the result's */
        {8, 720, 1280, {.in = 192, .out = 192, .kernel = {3, 1, 1}, .stride = {2, 1, 1}}, 4}, /* 9 seen of 17 */
        {2, 20000, 40000, {.in = 8, .out = 8, .kernel = {3, 3, 3}, .stride = {1, 1, 1}}, 1},
        {0, 480, 832, {.in = 96, .out = 3, .kernel = {3, 3, 3}, .stride = {1, 1, 1}}, 1},
        {4, 480, 832, {.in = 96, .out = 3, .kernel = {3, 3, 3}, .stride = {1, 1, 1}}, 4}};
    Backend *be = NULL;
    assert_false(failed(backend_open(&(BackendOptions){.kind = BACKEND_CUDA, .compute = BF16, .plan = true}, &be)));
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        const Conv *c = &row[i].conv;
        const int64_t seen = (row[i].frames - 1) * c->stride[0] + c->kernel[0];
        const Tensor x = tensor_view(NULL, BF16, 4, (int64_t[]){seen, row[i].height, row[i].width, c->in});
        const Tensor out = tensor_view(NULL, F32, 4, (int64_t[]){row[i].frames, row[i].height, row[i].width, c->out});
        assert_int_equal(cuda_conv_frames(be, x, c, out), row[i].at_once);
    }
    backend_close(&be);
}

static void test_bf16_without_cudnn(void **state)
{
    (void)state;
    host_runs = 0;
    host_cudnn_no_engines = true;
    check(BF16, "no cudnn", "conv");
    check(BF16, "no cudnn", "attention");
    host_cudnn_no_engines = false;
    assert_int_equal(host_runs, 0);
}

/* The one attention operation, and convolutions without their bias. */
static void test_bf16_without_fusion(void **state)
{
    (void)state;
    host_runs = 0;
    host_cudnn_no_fusion = true;
    check(BF16, "no fusion", "conv");
    check(BF16, "no fusion", "attention");
    host_cudnn_no_fusion = false;
    assert_true(host_runs > 10);
}

static void test_without_epilogues(void **state)
{
    (void)state;
    host_blas_no_epilogues = true;
    check(BF16, "no epilogue", "conv");
    check(BF16, "no epilogue", "linear");
    check(F32, "no epilogue", "linear");
    host_blas_no_epilogues = false;
}

static void test_fp8(void **state)
{
    (void)state;
    fp8 = true;
    check(BF16, "fp8", "linear");
    check(BF16, "fp8", "project");
    host_blas_no_scales = true;
    check(BF16, "fp8 apart", "linear");
    check(BF16, "fp8 apart", "project");
    host_blas_no_scales = fp8 = false;
}

/* Rows as launch_quantize makes them, by plain code. */
static void quantize(const float *x, int rows, int d, float *out)
{
    for (int i = 0; i < rows; i++) {
        float most = 0;
        for (int j = 0; j < d; j++) most = fmaxf(most, fabsf(x[i * d + j]));
        for (int j = 0; j < d; j++) {
            const uint8_t v = convert_float_to_e4m3(x[i * d + j] * (E4M3_MOST / most));
            out[i * d + j] = convert_e4m3_to_float(v) * (most / E4M3_MOST);
        }
    }
}

/* The product of fp8 is the product of these very numbers. */
static void test_fp8_numbers(void **state)
{
    enum { T = 5, K = 48, N = 32 };
    float x[T * K], w[N * K], x8[T * K], w8[N * K], got[T * N];
    Linear l = {.quantize = true};
    (void)state;
    fp8 = true;
    Backend *be = opened(BF16);
    fp8 = false;
    for (int i = 0; i < T * K; i++) x[i] = sinf((float)(i * i % 97)) * (float)(1 + i % 7);
    for (int i = 0; i < N * K; i++) w[i] = cosf((float)(i * 7 % 101)) / (float)(1 + i % 5);
    quantize(x, T, K, x8);
    quantize(w, N, K, w8);
    assert_int_equal(linear_pack(be, tensor_view(w, F32, 2, (int64_t[]){N, K}), (Tensor){0}, &l).err, OK);
    assert_true(l.quantize);
    Tensor y = op_linear(be, backend_upload(be, x, 2, (int64_t[]){T, K}), &l, ACT_NONE);
    backend_download(be, y, got);
    assert_int_equal(backend_status(be).err, OK);
    for (int i = 0; i < T * N; i++) {
        double sum = 0, size = 0;
        for (int k = 0; k < K; k++) {
            const double term = (double)x8[i / N * K + k] * (double)w8[i % N * K + k];
            sum += term;
            size += fabs(term);
        }
        assert_true(fabs(sum - (double)got[i]) <= 1e-6 * size);
    }
    const int64_t *note = cuda_of(be)->note;
    assert_true(note[NOTE_FP8] == 1 && note[NOTE_FP8_QUANTIZED] == 1);
    Tensor qkv[3]; /* the same x for three products: quantised once */
    op_project(be, backend_upload(be, x, 2, (int64_t[]){T, K}), 3, (const Linear *[]){&l, &l, &l}, qkv);
    assert_int_equal(backend_status(be).err, OK);
    assert_true(note[NOTE_FP8] == 4 && note[NOTE_FP8_QUANTIZED] == 2);
    linear_free(be, &l);
    backend_close(&be);
}

/* ---- scores in int8 --------------------------------------------------------------------------------------------------------- */

static void test_int8(void **state)
{
    (void)state;
    int8 = true;
    check(BF16, "int8", "attention");
    int8 = false;
}

enum { QUERIES = 70, KEYS = 300, TILE = 128, HEADS = 2, ALL = HEADS * TILE };

/* What the op should give, from its inputs in bf16: the scores of numbers rounded to int8, everything else exact. */
static void attend_int8(const float *q, const float *k, const float *v, int head, int query, float scale, double *out)
{
    double mean[TILE] = {0}, score[KEYS], highest = -1e30, sum = 0;
    float most = 0;
    q += query * ALL + head * TILE;
    for (int i = 0; i < KEYS * TILE; i++) mean[i % TILE] += (double)k[i / TILE * ALL + head * TILE + i % TILE] / KEYS;
    for (int c = 0; c < TILE; c++) most = fmaxf(most, fabsf(q[c]));
    for (int first = 0; first < KEYS; first += TILE) {
        const int end = first + TILE < KEYS ? first + TILE : KEYS;
        double most_k = 0;
        for (int i = first * TILE; i < end * TILE; i++)
            most_k = fmax(most_k, fabs((double)k[i / TILE * ALL + head * TILE + i % TILE] - mean[i % TILE]));
        for (int i = first; i < end; i++) {
            double s = 0;
            for (int c = 0; c < TILE; c++)
                s += rint((double)q[c] * 127 / (double)most) *
                     rint(((double)k[i * ALL + head * TILE + c] - mean[c]) * 127 / most_k);
            score[i] = s * (double)most * most_k / 127 / 127 * (double)scale;
            highest = fmax(highest, score[i]);
        }
    }
    memset(out, 0, TILE * sizeof *out);
    for (int i = 0; i < KEYS; i++) {
        sum += exp(score[i] - highest);
        for (int c = 0; c < TILE; c++) out[c] += exp(score[i] - highest) * (double)v[i * ALL + head * TILE + c];
    }
    for (int c = 0; c < TILE; c++) out[c] /= sum;
}

/* Numbers that bf16 has; `far`: some columns are around another number than zero. */
static void draw_bf16(float *v, int count, int seed, float far)
{
    for (int i = 0; i < count; i++) {
        const float drawn = sinf((float)((i + seed) % 7919 * 37 % 7919) + (float)i * 0.37f);
        v[i] = convert_bf16_to_float(convert_float_to_bf16(drawn + (float)(i % ALL % 5 - 2) * far));
    }
}

/* Keys far from zero, that differ little: without taking the mean away int8 would hold nothing of it. */
static void test_int8_numbers(void **state)
{
    static float q[QUERIES * ALL], k[KEYS * ALL], v[KEYS * ALL], got[QUERIES * ALL];
    const int64_t rows[2] = {QUERIES, ALL}, keys[2] = {KEYS, ALL};
    double difference = 0, size = 0, want[TILE];
    (void)state;
    int8 = true;
    Backend *be = opened(BF16);
    int8 = false;
    cuda_always_cudnn(be);
    draw_bf16(q, QUERIES * ALL, 1, 0);
    draw_bf16(k, KEYS * ALL, 2, 8);
    draw_bf16(v, KEYS * ALL, 3, 0);
    Tensor y = op_attention(be, backend_upload(be, q, 2, rows), backend_upload(be, k, 2, keys),
                            backend_upload(be, v, 2, keys), HEADS, 0.4f, (Tensor){0});
    backend_download(be, y, got);
    assert_int_equal(backend_status(be).err, OK);
    assert_int_equal(cuda_of(be)->note[NOTE_ATTENTION_INT8], 1);
    for (int i = 0; i < QUERIES * HEADS; i++) {
        attend_int8(q, k, v, i % HEADS, i / HEADS, 0.4f, want);
        for (int c = 0; c < TILE; c++) {
            difference += pow(want[c] - (double)got[i * TILE + c], 2);
            size += pow(want[c], 2);
        }
    }
    printf("%.1e from the same attention of numbers rounded to int8\n", sqrt(difference / size));
    assert_true(sqrt(difference / size) < 4e-3); /* the weights and the result are bf16 */
    backend_close(&be);
}

/* ---- ops that come again ---------------------------------------------------------------------------------------------------- */

enum { ROWS = 8, WIDTH = 64 };

typedef struct {
    Backend *be;
    Linear l;
    Tensor in, out;
    bool uploads; /* takes a number from the host */
    int runs;
} Repeated;

static void repeated(void *self)
{
    Repeated *r = self;
    const float one = 1;
    r->runs++;
    ArenaMark mark = backend_mark(r->be);
    Tensor x = backend_alloc(r->be, backend_compute(r->be), r->in.ndim, r->in.dim);
    op_norm_modulate(r->be, r->in, tensor_rows(r->in, 0, 1), tensor_rows(r->in, 1, 1), 1e-6f, x);
    Tensor q, a;
    op_project(r->be, x, 1, (const Linear *[]){&r->l}, &q);
    a = op_attention(r->be, q, q, x, 2, 0.2f, (Tensor){0});
    op_copy(r->be, r->out, a);
    op_linear_add(r->be, r->out, x, &r->l, tensor_rows(r->in, 2, 1));
    if (r->uploads)
        op_add_to(r->be, tensor_rows(tensor_reshape(r->out, 1, (int64_t[]){ROWS * WIDTH}), 0, 1),
                  backend_upload(r->be, &one, 1, (int64_t[]){1}), 1);
    backend_release(r->be, mark);
}

/* The same by calling body, and by backend_repeat with fresh numbers at the same addresses. */
static void check_repeated(Repeated *r, int step)
{
    float v[ROWS * WIDTH], want[ROWS * WIDTH], got[ROWS * WIDTH];
    const int64_t dim[2] = {ROWS, WIDTH}, key[REPEAT_KEY] = {7, r->uploads};
    ArenaMark mark = backend_mark(r->be);
    for (int i = 0; i < ROWS * WIDTH; i++) v[i] = sinf((float)(i * (step + 3) % 89));
    r->in = backend_upload(r->be, v, 2, dim);
    r->out = backend_zeros(r->be, 2, dim);
    repeated(r);
    backend_download(r->be, r->out, want);
    op_zero(r->be, r->out);
    r->runs = 0;
    backend_repeat(r->be, key, repeated, r);
    backend_download(r->be, r->out, got);
    assert_int_equal(backend_status(r->be).err, OK);
    assert_memory_equal(want, got, sizeof want);
    backend_release(r->be, mark);
}

static void repeat_begin(Repeated *r, bool uploads)
{
    float w[WIDTH * WIDTH];
    for (int i = 0; i < WIDTH * WIDTH; i++) w[i] = cosf((float)(i * 7 % 101)) / 8;
    *r = (Repeated){.be = opened(BF16), .uploads = uploads};
    cuda_always_cudnn(r->be);
    assert_int_equal(linear_pack(r->be, tensor_view(w, F32, 2, (int64_t[]){WIDTH, WIDTH}), (Tensor){0}, &r->l).err, OK);
    host_graphs = 0;
}

static void repeat_end(Repeated *r)
{
    linear_free(r->be, &r->l);
    backend_close(&r->be);
}

static void test_repeat(void **state)
{
    static const int runs[] = {1, 1 /* captured */, 0, 0}; /* of body, by backend_repeat */
    Repeated r;
    (void)state;
    repeat_begin(&r, false);
    for (int step = 0; step < 4; step++) {
        check_repeated(&r, step);
        assert_int_equal(r.runs, runs[step]);
    }
    assert_int_equal(host_graphs, 3);
    Tensor other = backend_keep(r.be, F32, 1, (int64_t[]){1}); /* memory changed hands: all of it again */
    for (int step = 0; step < 4; step++) {
        check_repeated(&r, step);
        assert_int_equal(r.runs, runs[step]);
    }
    backend_drop(r.be, &other);
    repeat_end(&r);
}

/* What takes numbers from the host is run as it is, every time. */
static void test_repeat_refused(void **state)
{
    Repeated r;
    (void)state;
    repeat_begin(&r, true);
    for (int step = 0; step < 4; step++) {
        check_repeated(&r, step);
        assert_int_equal(r.runs, step == 1 ? 2 : 1); /* tried once */
    }
    assert_int_equal(host_graphs, 0);
    repeat_end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fp32),
                                       cmocka_unit_test(test_bf16),
                                       cmocka_unit_test(test_convs_in_pieces),
                                       cmocka_unit_test(test_pieces_count_in_32_bits),
                                       cmocka_unit_test(test_bf16_without_cudnn),
                                       cmocka_unit_test(test_bf16_without_fusion),
                                       cmocka_unit_test(test_without_epilogues),
                                       cmocka_unit_test(test_fp8),
                                       cmocka_unit_test(test_fp8_numbers),
                                       cmocka_unit_test(test_int8),
                                       cmocka_unit_test(test_int8_numbers),
                                       cmocka_unit_test(test_repeat),
                                       cmocka_unit_test(test_repeat_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
