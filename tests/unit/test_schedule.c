/* test_schedule.c - sigmas and timesteps equal those of diffusers 0.42.1 (classic: of 0.36.0), and the samplers follow its solvers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "engine/sample/sampler.h"

static const struct {
    const char *kind, *sigmas;
    int steps;
    double shift;
    float sigma[3], timestep[3]; /* first, middle, last before 0 */
} schedules[] = {
    {"unipc", "", 1, 3.0, {0x1.ffffdep-1f, 0x1.ffffdep-1f, 0x1.ffffdep-1f}, {999, 999, 999}},
    {"unipc", "", 4, 3.0, {0x1.ffffdep-1f, 0x1.803120p-1f, 0x1.0082f0p-1f}, {999, 750, 500}},
    {"unipc", "", 16, 5.0, {0x1.ffffdep-1f, 0x1.aacf0ep-1f, 0x1.031014p-2f}, {999, 833, 252}},
    {"unipc", "", 50, 8.0, {0x1.ffffdep-1f, 0x1.c73650p-1f, 0x1.2bb832p-3f}, {999, 889, 146}},
    {"euler", "", 1, 3.0, {1, 1, 1}, {1000, 1000, 1000}},
    {"euler", "", 4, 3.0, {1, 0x1.344d14p-1f, 0x1.24924ap-7f}, {1000, 0x1.2d1346p+9f, 0x1.1db6dcp+3f}},
    {"euler", "", 20, 5.0, {1, 0x1.a3b4fcp-1f, 0x1.900004p-6f}, {1000, 0x1.99debep+9f, 0x1.86a004p+4f}},
    {"unipc", "classic", 1, 3.0, {0x1.ffd448p-1f, 0x1.ffd448p-1f, 0x1.ffd448p-1f}, {999, 999, 999}},
    {"unipc", "classic", 4, 3.0, {0x1.ffd448p-1f, 0x1.7fced2p-1f, 0x1.ffa896p-2f}, {999, 749, 499}},
    {"unipc", "classic", 16, 5.0, {0x1.ffe5c4p-1f, 0x1.aa863cp-1f, 0x1.ff9720p-3f}, {999, 833, 249}},
    {"unipc", "classic", 50, 8.0, {0x1.ffef9ap-1f, 0x1.c70288p-1f, 0x1.1f2fbap-3f}, {999, 888, 140}},
    {"euler", "classic", 20, 5.0, {1, 0x1.a3b4fcp-1f, 0x1.900004p-6f}, {1000, 0x1.99debep+9f, 0x1.86a004p+4f}},
    {"euler", "distilled", 3, 1.0, {1, 0x1.555556p-1f, 0x1.555556p-2f}, {1000, 0x1.4d5556p+9f, 0x1.4d5556p+8f}},
    {"euler", "distilled", 4, 5.0, {1, 0x1.aaaaaap-1f, 0x1.4p-1f}, {1000, 0x1.a0aaaap+9f, 625}},
    {"lcm", "distilled", 8, 8.0, {1, 0x1.c71c72p-1f, 0x1.111112p-1f}, {1000, 0x1.bc71c8p+9f, 0x1.0aaaacp+9f}},
    {"lcm", "", 4, 5.0, {1, 0x1.6f443cp-1f, 0x1.900004p-6f}, {1000, 0x1.66a8a2p+9f, 0x1.86a004p+4f}},
};

static SchedulerConfig config_of(int order)
{
    return (SchedulerConfig){.train_steps = 1000,
                             .order = order,
                             .lower_order_final = true,
                             .predict_x0 = true,
                             .bh2 = true,
                             .final_sigma_zero = true};
}

static void schedules_equal(void **state)
{
    (void)state;
    const SchedulerConfig c = config_of(2);
    for (size_t i = 0; i < sizeof schedules / sizeof *schedules; i++) {
        Schedule s;
        const int at[3] = {0, schedules[i].steps / 2, schedules[i].steps - 1};
        ShotSpec shot = {.steps = schedules[i].steps, .flow_shift = schedules[i].shift};
        snprintf(shot.scheduler, sizeof shot.scheduler, "%s", schedules[i].kind);
        snprintf(shot.sigmas, sizeof shot.sigmas, "%s", schedules[i].sigmas);
        schedule_make(&c, &shot, &s);
        for (int k = 0; k < 3; k++) {
            assert_true(s.sigma[at[k]] == schedules[i].sigma[k]);
            assert_true(s.timestep[at[k]] == schedules[i].timestep[k]);
        }
        assert_true(s.sigma[s.steps] == 0.0f);
        schedule_free(&s);
    }
}

enum { NUMBERS = 4, STEPS = 6 };

static const struct {
    const char *kind;
    int order;
    float end[NUMBERS];
} runs[] = {
    {"unipc", 1, {0.55472350f, -0.23264217f, -1.31673956f, -1.79503965f}},
    {"unipc", 2, {0.53359109f, -0.26408976f, -1.34017086f, -1.79032052f}},
    {"unipc", 3, {0.53200805f, -0.26614922f, -1.34076142f, -1.78714657f}},
    {"euler", 1, {0.62717485f, -0.13450561f, -1.26671386f, -1.86204636f}},
};

static Backend *be;
static const int64_t dim[4] = {1, 1, 1, NUMBERS};

static void begin(Sampler *s, const SchedulerConfig *c, const char *kind)
{
    float noise[NUMBERS];
    ShotSpec shot = {.steps = STEPS, .flow_shift = 3.0};
    snprintf(shot.scheduler, sizeof shot.scheduler, "%s", kind);
    for (int i = 0; i < NUMBERS; i++) noise[i] = (float)cos(i);
    sampler_begin(s, be, c, &shot, dim, noise);
}

static void step(Sampler *s)
{
    float velocity[NUMBERS];
    ArenaMark mark = backend_mark(be);
    for (int i = 0; i < NUMBERS; i++) velocity[i] = (float)sin(0.1 * (i + 1) * (s->step + 1));
    sampler_step(s, backend_upload(be, velocity, 4, dim));
    backend_release(be, mark);
}

static void download(Tensor t, float numbers[NUMBERS])
{
    backend_download(be, t, numbers);
    assert_int_equal(backend_status(be).err, OK);
}

static void samplers_follow(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        const SchedulerConfig c = config_of(runs[i].order);
        Sampler s;
        float end[NUMBERS];
        begin(&s, &c, runs[i].kind);
        while (s.step < STEPS) step(&s);
        download(s.latents, end);
        for (int k = 0; k < NUMBERS; k++) /* 2e-6: the solver's scalars are float there, double here; measured 6e-7 */
            assert_true(fabsf(end[k] - runs[i].end[k]) < 2e-6f);
        sampler_end(&s);
    }
}

/* Stopped after any step and restored from (step, latents, history), a run ends on the same bits. */
static void restored_run_is_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        const SchedulerConfig c = config_of(runs[i].order);
        for (int stop = 0; stop <= STEPS; stop++) {
            Sampler a, b;
            Tensor history[SAMPLER_MAX_HISTORY];
            float latents[NUMBERS], end[2][NUMBERS], copy[SAMPLER_MAX_HISTORY][NUMBERS], *copies[SAMPLER_MAX_HISTORY];
            begin(&a, &c, runs[i].kind);
            begin(&b, &c, runs[i].kind);
            while (a.step < stop) step(&a);
            const int count = sampler_history(&a, history);
            assert_int_equal(count, sampler_history_count(&b, stop));
            for (int k = 0; k < count; k++) download(history[k], copies[k] = copy[k]);
            download(a.latents, latents);
            sampler_restore(&b, stop, latents, copies);
            while (a.step < STEPS) step(&a);
            while (b.step < STEPS) step(&b);
            download(a.latents, end[0]);
            download(b.latents, end[1]);
            assert_memory_equal(end[0], end[1], sizeof end[0]);
            sampler_end(&a);
            sampler_end(&b);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(schedules_equal), cmocka_unit_test(samplers_follow),
                                       cmocka_unit_test(restored_run_is_the_same)};
    if (failed(backend_open(&(BackendOptions){.kind = BACKEND_REF}, &be))) return 1;
    const int bad = cmocka_run_group_tests(tests, NULL, NULL);
    backend_close(&be);
    return bad;
}
