/* test_amx - AMX on processors that have none: the product on tiles over C (amx.h) and as the compiler made it, its instructions carried
 * out one by one (amx_trap). Where a processor has AMX, it carries them out itself. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernels/convert.h"
#include "kernels/cpu/cpu.h"
#include "tests/ops/amx.h"
#include "tests/ops/cases.h"

extern const Isa isa_wide, isa_wide_tiles, isa_wide_tiles_quads;

/* ---- the instructions, by hand ------------------------------------------------------------------------------------- */

typedef struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t bytes[16];
    uint8_t rows[16];
} Shape;

/* Tile 0: 2 x 3 sums; tile 1: 2 rows of `steps`; tile 2: steps x 3 */
static void shape_small(int steps)
{
    const Shape s = {.palette = 1, .bytes = {12, (uint16_t)(4 * steps), 12}, .rows = {2, 2, (uint8_t)steps}};
    Shape now;
    amx_load_shape(&s);
    amx_store_shape(&now);
    assert_memory_equal(&s, &now, sizeof s);
}

static void zero_load_store(void **state)
{
    int32_t from[2][5] = {{1, 2, 3, 4, 5}, {6, 7, 8, 9, 10}}, to[2][5];
    (void)state;
    shape_small(1);
    memset(to, -1, sizeof to);
    amx_load(0, from, sizeof from[0]);
    amx_store(0, to, sizeof to[0]);
    const int32_t want[2][5] = {{1, 2, 3, -1, -1}, {6, 7, 8, -1, -1}};
    assert_memory_equal(to, want, sizeof want);
    amx_zero(0);
    amx_store(0, to, sizeof to[0]);
    const int32_t none[2][5] = {{0, 0, 0, -1, -1}, {0, 0, 0, -1, -1}};
    assert_memory_equal(to, none, sizeof none);
    amx_release();
    Shape now;
    amx_store_shape(&now);
    assert_int_equal(now.palette, 0);
}

static uint16_t half(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, 4);
    return (uint16_t)(bits >> 16);
}

/* a: one row of pairs, b: one column of pairs, sum: before -> after */
static float bf16_sum(const float *a, const float *b, int steps, float sum)
{
    uint16_t rows[2][32] = {{0}}, columns[16][6] = {{0}};
    float sums[2][3] = {{sum}};
    for (int i = 0; i < 2 * steps; i++) {
        rows[0][i] = half(a[i]);
        columns[i / 2][i % 2] = half(b[i]);
    }
    shape_small(steps);
    amx_load(0, sums, sizeof sums[0]);
    amx_load(1, rows, sizeof rows[0]);
    amx_load(2, columns, sizeof columns[0]);
    amx_dpbf16ps(0, 1, 2);
    amx_store(0, sums, sizeof sums[0]);
    assert_true(sums[0][1] == 0 && sums[0][2] == 0 && sums[1][1] == 0 && sums[1][2] == 0);
    return sums[0][0];
}

static void bf16_as_the_manual_says(void **state)
{
    (void)state;
    /* even and odd places apart: 2^60 - 2^60 + 1 in the odd ones, 2 in the even ones; in the order of k the 2 would be lost */
    const float one[] = {2, 0x1p60f, 0, -0x1p60f, 0, 1}, all[] = {1, 1, 1, 1, 1, 1};
    assert_true(bf16_sum(one, all, 3, 0.5f) == 3.5f);
    /* their sum is rounded before it is added to what was there: 1 + 2^-24 is 1, and 2^-24 + 1 - 1 would be 2^-24 */
    const float two[] = {1, 0x1p-24f};
    assert_true(bf16_sum(two, all, 1, -1) == 0);
    /* to the nearest, the even one of two: 2^24 + 1 and 2^24 + 3 */
    const float three[] = {0x1p24f, 0, 1, 0}, four[] = {0x1p24f, 0, 3, 0};
    assert_true(bf16_sum(three, all, 2, 0) == 0x1p24f && bf16_sum(four, all, 2, 0) == 0x1p24f + 4);
    /* a product is not rounded before it is added: (1 + 2^-7)^2 - 1 - 2^-6 */
    const float five[] = {-1, 0, -0x1p-6f, 0, 1 + 0x1p-7f, 0}, six[] = {1, 0, 1, 0, 1 + 0x1p-7f, 0};
    assert_true(bf16_sum(five, six, 3, 0) == 0x1p-14f);
    /* subnormals are zero on the way in, in either factor and in the sum, and on the way out */
    const float small[] = {0x1p-130f, 0}, large[] = {0x1p120f, 0}, least[] = {0x1p-126f, 0}, half_of[] = {0.5f, 0};
    assert_true(bf16_sum(small, large, 1, 0) == 0 && bf16_sum(large, small, 1, 0) == 0);
    assert_true(bf16_sum(least, half_of, 1, 0) == 0 && bf16_sum(least, all, 1, 0) == 0x1p-126f);
    assert_true(bf16_sum(least, all, 1, 0x1p-130f) == 0x1p-126f);
    /* the processor's own state is as before */
    volatile float tiny = 0x1p-126f;
    assert_true(tiny * 0.5f != 0);
    const float never[] = {NAN, 0};
    assert_true(isnan(bf16_sum(all, never, 1, 0)));
}

static void int8_as_the_manual_says(void **state)
{
    (void)state;
    uint8_t rows[2][4] = {{255, 0, 1, 200}, {128, 128, 128, 128}};
    int8_t columns[1][12] = {{-128, 1, 2, 3, 127, 127, 127, 127, -1, -1, -1, -1}};
    int32_t sums[2][3] = {{0, 5, INT32_MIN}, {1, 0, 0}};
    shape_small(1);
    amx_load(0, sums, sizeof sums[0]);
    amx_load(1, rows, sizeof rows[0]);
    amx_load(2, columns, sizeof columns[0]);
    amx_dpbusd(0, 1, 2);
    amx_store(0, sums, sizeof sums[0]);
    const int32_t want[2][3] = {{255 * -128 + 2 + 600, 5 + 456 * 127, INT32_MAX - 455},
                                {1 + 128 * -122, 512 * 127, -512}};
    assert_memory_equal(sums, want, sizeof want);
}

/* ---- which set ---- */

static void bounds_hold(void **state)
{
    const Isa *const widest[] = {isa_of_this_machine(BF16), isa_of_this_machine(INT8)};
    Backend *be = NULL;
    (void)state;
    setenv("REELWRIGHT_ISA", "amx", 1);
    assert_true(isa_of_this_machine(BF16) == widest[0] && isa_of_this_machine(INT8) == widest[1]);
    setenv("REELWRIGHT_ISA", "avx512bf16", 1);
    assert_true(isa_of_this_machine(BF16) != &isa_amxbf16 && isa_of_this_machine(INT8) != &isa_amxint8);
    assert_true(isa_of_this_machine(BF16)->pairs == widest[0]->pairs);
    setenv("REELWRIGHT_ISA", "avx512", 1);
    assert_true(!isa_of_this_machine(BF16)->pairs && !isa_of_this_machine(INT8)->quads);
    assert_true(isa_of_this_machine(BF16)->lanes == widest[0]->lanes);
    setenv("REELWRIGHT_ISA", "avx2", 1);
    assert_true(isa_of_this_machine(BF16) == &isa_avx2 && isa_of_this_machine(INT8) == &isa_avx2);
    setenv("REELWRIGHT_ISA", "sse", 1);
    Status s = backend_open(&(BackendOptions){.kind = BACKEND_CPU}, &be);
    assert_true(failed(s) && strstr(s.message, "REELWRIGHT_ISA=sse"));
    unsetenv("REELWRIGHT_ISA");
}

/* ---- products ------------------------------------------------------------------------------------------------------ */

typedef struct {
    int64_t rows, steps, segments;
    bool narrow, add;
} Form;

/* Rows and steps on both sides of tiles and pieces; a convolution's segments, short and long. */
static const Form forms[] = {
    {1, 1, 1, 0, 0},   {1, 16, 1, 1, 1},  {16, 16, 1, 0, 0},  {17, 15, 1, 0, 1},  {32, 32, 1, 0, 0},
    {33, 17, 1, 1, 0}, {48, 31, 1, 0, 1}, {70, 130, 1, 0, 0}, {31, 300, 1, 0, 1}, {64, 128, 1, 1, 0},
    {40, 12, 9, 0, 0}, {35, 48, 9, 1, 1}, {64, 16, 27, 0, 0}, {9, 145, 3, 0, 1},  {33, 5, 4, 1, 0},
};

/* `bytes` of memory behind which nothing may be touched */
static char *guarded(size_t bytes)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), whole = (bytes + page - 1) / page * page;
    char *m = mmap(NULL, whole + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(m != MAP_FAILED);
    assert_int_equal(mprotect(m + whole, page, PROT_NONE), 0);
    return m + whole - bytes;
}

static void unguard(char *m, size_t bytes)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), whole = (bytes + page - 1) / page * page;
    munmap(m - (whole - bytes), whole + page);
}

typedef struct {
    int64_t width, stride, segment[32];
    size_t a_bytes, b_bytes, c_bytes;
    char *a, *b;
} Inputs;

static Inputs inputs_of(const Form *f, bool quads)
{
    Inputs in = {.width = f->narrow ? 16 : 32, .stride = 4 * f->steps + 4};
    in.a_bytes = (size_t)(in.stride * (f->rows + f->segments - 2) + 4 * f->steps);
    in.b_bytes = (size_t)(4 * f->segments * f->steps * in.width);
    in.c_bytes = (size_t)(4 * f->rows * in.width);
    in.a = guarded(in.a_bytes);
    in.b = guarded(in.b_bytes);
    for (int64_t s = 0; s < f->segments; s++) in.segment[s] = s * in.stride; /* the rows below */
    uint32_t seed = 7;
    for (size_t i = 0; i < in.a_bytes + in.b_bytes; i += quads ? 1 : 2) {
        char *to = i < in.a_bytes ? in.a + i : in.b + (i - in.a_bytes);
        seed = seed * 1664525 + 1013904223;
        const float x = (float)(seed >> 8) * 0x1p-23f - 1;
        if (quads) *to = (char)(seed >> 24);
        if (!quads) *(uint16_t *)(uintptr_t)to = half(x);
    }
    return in;
}

static float *product_of(const Isa *isa, const Form *f, const Inputs *in)
{
    float *c = (float *)(uintptr_t)guarded(in->c_bytes);
    for (int64_t i = 0; i < f->rows * in->width; i++) ((int32_t *)c)[i] = isa->quads ? (int32_t)i : 0x3f800000;
    const IsaProduct p = {.a = in->a,
                          .a_stride = in->stride,
                          .segment = in->segment,
                          .segments = (int)f->segments,
                          .steps = f->steps,
                          .b = in->b,
                          .c = c,
                          .c_stride = in->width,
                          .rows = f->rows,
                          .add = f->add,
                          .narrow = f->narrow};
    isa->product(&p);
    return c;
}

static double expected(const Form *f, const Inputs *in, bool quads, int64_t row, int64_t column)
{
    double sum = !f->add ? 0 : quads ? (double)(row * in->width + column) : 1;
    for (int64_t s = 0; s < f->segments; s++)
        for (int64_t k = 0; k < f->steps; k++) {
            const char *a = in->a + row * in->stride + in->segment[s] + 4 * k;
            const char *b = in->b + 4 * ((s * f->steps + k) * in->width + column);
            for (int i = 0; i < 4 && quads; i++) sum += (double)(uint8_t)a[i] * (int8_t)b[i];
            for (int i = 0; i < 2 && !quads; i++) {
                float x, y;
                convert_to_float(a + 2 * i, BF16, 1, &x);
                convert_to_float(b + 2 * i, BF16, 1, &y);
                sum += (double)x * y;
            }
        }
    return sum;
}

static void check_form(const Isa *isa, const Isa *same, const Form *f)
{
    Inputs in = inputs_of(f, isa->quads);
    float *c = product_of(isa, f, &in), *d = same ? product_of(same, f, &in) : NULL;
    for (int64_t i = 0; i < f->rows * in.width; i++) {
        const double want = expected(f, &in, isa->quads, i / in.width, i % in.width);
        const double is = isa->quads ? ((int32_t *)c)[i] : (double)c[i];
        const double most = isa->quads ? 0 : 4e-5; /* measured at most 1.1e-5, of sums of up to 870 products */
        if (!(fabs(is - want) <= most))
            fail_msg("%s: %d rows, %d steps: sum %d is %.9g, expected %.9g", isa->name, (int)f->rows, (int)f->steps,
                     (int)i, is, want);
    }
    if (d) assert_memory_equal(c, d, in.c_bytes);
    unguard((char *)c, in.c_bytes);
    if (d) unguard((char *)d, in.c_bytes);
    unguard(in.a, in.a_bytes);
    unguard(in.b, in.b_bytes);
}

static void check_forms(const Isa *isa, const Isa *same)
{
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) check_form(isa, same, &forms[i]);
}

static void tiles_in_c(void **state)
{
    (void)state;
    check_forms(&isa_wide_tiles, NULL);
    check_forms(&isa_wide_tiles_quads, NULL);
}

/* ---- the compiler's own instructions ------------------------------------------------------------------------------- */

static void all_cases(const Isa *isa, DType compute)
{
    Backend *be = NULL;
    Status s = backend_open(
        &(BackendOptions){
            .kind = BACKEND_CPU, .compute = BF16, .quantized = compute == INT8 ? INT8 : F32, .threads = 3},
        &be);
    if (failed(s)) fail_msg("%s", s.message);
    CpuSets *c = be->own;
    *(compute == INT8 ? &c->quantized : &c->compute) = cpu_with(isa, compute);
    const int bad = case_compare_all(be, isa->name, "");
    backend_close(&be);
    assert_int_equal(bad, 0);
}

static bool without_avx512(void)
{
    __builtin_cpu_init();
    return !__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
           !__builtin_cpu_supports("avx512vl") || !__builtin_cpu_supports("avx512dq") ||
           !__builtin_cpu_supports("avx512bf16");
}

static void real_instructions(void **state)
{
    (void)state;
    if (without_avx512()) {
        print_message("skipped: this processor has no AVX-512 with bf16, which the code around the tiles is made of\n");
        skip();
    }
    const bool own_bf16 = isa_of_this_machine(BF16) == &isa_amxbf16,
               own_int8 = isa_of_this_machine(INT8) == &isa_amxint8;
    amx_trap();
    check_forms(&isa_amxbf16, own_bf16 ? NULL : &isa_wide_tiles);
    check_forms(&isa_amxint8, &isa_wide_tiles_quads);
    all_cases(&isa_amxbf16, BF16);
    all_cases(&isa_amxint8, INT8);
    print_message("AMX: bf16 by %s, int8 by %s; %lld instructions carried out in C\n", own_bf16 ? "the processor" : "C",
                  own_int8 ? "the processor" : "C", (long long)amx_trapped());
    assert_true(own_bf16 || own_int8 || amx_trapped() > 0);
}

int main(void)
{
    if (!isa_of_this_machine(F32)) {
        printf("skipped: this processor has no AVX2, which the cpu back end needs\n");
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zero_load_store),
        cmocka_unit_test(bf16_as_the_manual_says),
        cmocka_unit_test(int8_as_the_manual_says),
        cmocka_unit_test(bounds_hold),
        cmocka_unit_test(tiles_in_c),
        cmocka_unit_test(real_instructions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
