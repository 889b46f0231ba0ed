/* test_cuda_step - denoising steps on the CUDA back end without a device (see test_cuda_host.c): that the host waits for nothing and
 * sends next to nothing, that evaluations are replayed as graphs, and that the latents are those of the CPU back end. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/engine.h"
#include "kernels/cuda/cuda.h"
#include "tests/cuda/host.h"

enum {
    STEPS = 4,
    HISTORY = 3 /* of UniPC of order 2 */,
    TOKENS = 7,
    UP_BYTES = 2048 /* the embeddings of two timesteps */
};

typedef struct {
    int64_t waits, up_bytes, graphs; /* of the steps */
    int64_t state_waits;             /* of the state then */
    DenoiseState state;
    float *latents;
    int64_t count;
} Denoised;

static void ok(Status s)
{
    if (failed(s)) fail_msg("%s", s.message);
}

static PromptEmbeds some_prompt(const Engine *e, double seed)
{
    PromptEmbeds p = {.count = TOKENS, .dim = engine_config(e)->text.d_model};
    p.rows = malloc((size_t)(p.count * p.dim) * sizeof *p.rows);
    for (int i = 0; i < p.count * p.dim; i++) p.rows[i] = (float)sin(seed * (i + 1));
    return p;
}

/* image: the first frame is given, and its tokens are at another timestep. */
static void denoise(BackendKind kind, const char *folder, bool image, Denoised *out)
{
    static uint8_t rgb[32 * 32 * 3] = {200, 30, 90};
    const Picture picture = {32, 32, rgb};
    const Conditions given = {.image = image ? &picture : NULL};
    const BackendOptions o = {.kind = kind};
    Engine *e;
    Denoise *d;
    int64_t dim[4];
    ok(engine_open(folder, &o, &e));
    ShotSpec s = engine_config(e)->defaults;
    s.width = s.height = 32;
    s.frames = 5;
    s.steps = STEPS;
    s.guidance = 3;
    PromptEmbeds p[2] = {some_prompt(e, 0.3), some_prompt(e, 0.7)};
    ok(denoise_begin_with(e, &s, &p[0], &p[1], &given, NULL, NULL, &d));
    for (int i = 0; i < STEPS; i++) {
        if (i == 1) host_waits = host_up_bytes = host_graphs = 0; /* the first loads the weights */
        ok(denoise_step(d));
    }
    *out = (Denoised){.waits = host_waits, .up_bytes = host_up_bytes, .graphs = host_graphs};
    host_waits = 0;
    ok(denoise_state(d, &out->state));
    out->state_waits = host_waits;
    denoise_dims(d, dim);
    out->count = dim[0] * dim[1] * dim[2] * dim[3];
    out->latents = malloc((size_t)out->count * sizeof *out->latents);
    ok(denoise_result(d, out->latents));
    if (!image) assert_memory_equal(out->latents, out->state.latents, (size_t)out->count * sizeof *out->latents);
    denoise_end(&d);
    for (int i = 0; i < 2; i++) prompt_embeds_free(&p[i]);
    engine_close(&e);
}

static void check(const char *folder, bool image)
{
    Denoised cuda, cpu;
    double difference = 0, size = 0;
    backend_register_cuda(&cuda_kernels);
    denoise(BACKEND_CUDA, folder, image, &cuda);
    denoise(BACKEND_CPU, folder, image, &cpu);
    assert_int_equal(cuda.waits, 0);
    assert_true(cuda.up_bytes <= 2 * (STEPS - 1) * UP_BYTES);
    assert_true(cuda.graphs >= 2 * (STEPS - 2)); /* both branches, but for the step that captures them */
    assert_int_equal(cuda.state.solver_count, HISTORY);
    assert_int_equal(cuda.state_waits, 2 * (1 + HISTORY)); /* a copy, and waiting for it */
    for (int64_t i = 0; i < cpu.count; i++) {
        difference += pow((double)cuda.latents[i] - (double)cpu.latents[i], 2);
        size += pow((double)cpu.latents[i], 2);
    }
    printf("%.1e from the CPU's latents\n", sqrt(difference / size));
    assert_true(sqrt(difference / size) < 1e-5);
    free(cuda.latents);
    free(cpu.latents);
}

static void test_step(void **state)
{
    (void)state;
    check(SOURCE_DIR "/tests/parity/fixtures/t2v-0/model", false);
}

static void test_given_frame(void **state)
{
    (void)state;
    check(SOURCE_DIR "/tests/parity/fixtures/ti2v5b_i2v-0/model", true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_step), cmocka_unit_test(test_given_frame)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
