/* Nights on paper: small ones that can be worked out by hand, what holds of all of them, and size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/file.h"
#include "coordinator/dispatch/rules.h"
#include "coordinator/plan/amount.h"
#include "coordinator/plan/energy.h"
#include "coordinator/plan/night.h"

static const double nothing[] = {0}, ten[] = {10}, two[] = {2}, one_to_nine[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};

static Night night(int64_t shots, const int64_t *clips, int nodes, int groups, int finishers, bool both)
{
    return (Night){.shots = shots,
                   .clips = clips,
                   .nodes = nodes,
                   .groups = groups,
                   .finishers = finishers,
                   .both = both,
                   .render = {ten, 1},
                   .finish = {two, 1},
                   .load = {nothing, 1}};
}

static double finish_of(const Night *n)
{
    NightResult r;
    night_play(n, 1, &r);
    return r.finish_s;
}

static void worked_out_by_hand(void **state)
{
    (void)state;
    const int64_t ones[] = {1, 1, 1, 1}, many[] = {200}, eight[] = {8, 8};
    Night n = night(4, ones, 1, 1, 0, true); /* one worker: four times render and finish */
    assert_float_equal(finish_of(&n), 48, 1e-9);
    n = night(4, ones, 1, 2, 0, true); /* two: 10 render, 12 finish, 22 render, 24 finish */
    assert_float_equal(finish_of(&n), 24, 1e-9);
    n = night(4, ones, 1, 1, 1, false); /* rendering goes on while the finisher finishes */
    assert_float_equal(finish_of(&n), 42, 1e-9);
    n = night(1, many, 1, 4, 0, true); /* one shot for 200 clips: all four finish: 10 + 200 * 2 / 4 */
    assert_float_equal(finish_of(&n), 110, 1e-9);
    n = night(2, eight, 1, 1, 1, false); /* 10 + 16 clips in a row: the finisher is what takes the time */
    assert_float_equal(finish_of(&n), 42, 1e-9);
    n = night(2, eight, 1, 1, 1, false);
    n.masters = 1; /* the second render waits until the first master is gone: 10 + 16 + 10 + 16 */
    assert_float_equal(finish_of(&n), 52, 1e-9);
    n = night(4, ones, 1, 1, 0, true);
    n.start_s = 5, n.end_s = 3, n.gap_s = 0.5, n.load = (Times){ten, 1};
    assert_float_equal(finish_of(&n), 48 + 5 + 3 + 8 * 0.5 + 10, 1e-9);
}

/* ---- nights that SimGrid has played (tests/bench/simgrid_night.py, 3.32) ---- */

static double simgrid_takes_s(void *self, int rank, LeaseKind kind, int64_t shot, int64_t clip)
{
    (void)rank;
    switch (*(const int *)self) {
    case 0:
        return kind == LEASE_RENDER ? (double)(5 + shot * 7 % 11) : (double)(1 + (shot + clip) % 3);
    case 1:
        return kind == LEASE_RENDER ? (double)(7 + shot % 2) : (double)(2 + clip % 3);
    default:
        return kind == LEASE_RENDER ? (double)(2 + shot % 3) : (double)(3 + clip);
    }
}

static bool never_fails(void *self, int rank, LeaseKind kind, int64_t shot, int64_t clip)
{
    return (void)self, (void)rank, (void)kind, (void)shot, (void)clip, false;
}

static double never_dies(void *self, int rank) { return (void)self, (void)rank, INFINITY; }

static void nobody_looks(void *self, double at_s, int rank, LeaseKind kind, int64_t shot, int64_t clip)
{
    (void)self, (void)at_s, (void)rank, (void)kind, (void)shot, (void)clip;
}

static void as_simgrid_plays_them(void **state)
{
    (void)state;
    static const struct {
        int shots, groups, finishers;
        bool both;
        double finish_s;
    } night_of[] = {{11, 3, 0, true, 58}, {12, 3, 2, false, 52}, {60, 4, 1, false, 422}};
    for (int which = 0; which < 3; which++) {
        int64_t clips[60];
        for (int i = 0; i < 60; i++) clips[i] = which == 0 ? 1 + i % 4 : which == 1 ? 1 + i % 5 : 2;
        const NightScript script = {&which, simgrid_takes_s, never_fails, never_dies, nobody_looks};
        Night n = night(night_of[which].shots, clips, 1, night_of[which].groups, night_of[which].finishers,
                        night_of[which].both);
        n.script = &script;
        assert_float_equal(finish_of(&n), night_of[which].finish_s, 0.001);
    }
}

typedef struct { /* of a night's renders: from the first's beginning to the last's end */
    double render_s, finish_s, first_s, last_s, busy_s;
} Renders;

static double uneven_s(void *self, int rank, LeaseKind kind, int64_t shot, int64_t clip)
{
    const Renders *r = self;
    const double mean_s = kind == LEASE_RENDER ? r->render_s : r->finish_s;
    (void)rank;
    return mean_s * (0.8 + 0.1 * (double)((shot * 7 + clip) % 5)); /* 0.8 to 1.2 of it */
}

static void add_render(void *self, double at_s, int rank, LeaseKind kind, int64_t shot, int64_t clip)
{
    Renders *r = self;
    if (kind != LEASE_RENDER) return;
    const double s = uneven_s(self, rank, kind, shot, clip);
    if (r->busy_s == 0) r->first_s = at_s;
    if (at_s + s > r->last_s) r->last_s = at_s + s;
    r->busy_s += s;
}

/* 400 groups on 50 nodes, renders of a minute, finishes of three: the work of 24 finishers on each node. */
static double busy_share(int finishers)
{
    enum { SHOTS = 40000, NODES = 50, GROUPS = 8 };
    int64_t *clips = malloc(SHOTS * sizeof *clips);
    for (int i = 0; i < SHOTS; i++) clips[i] = 1;
    Renders r = {.render_s = 60, .finish_s = 180};
    const NightScript script = {&r, uneven_s, never_fails, never_dies, add_render};
    Night n = night(SHOTS, clips, NODES, GROUPS, finishers, false);
    n.gap_s = 0.02;
    n.script = &script;
    assert_true(isfinite(finish_of(&n)));
    free(clips);
    return r.busy_s / (NODES * GROUPS * (r.last_s - r.first_s));
}

static void renderers_wait_for_too_few_finishers_only(void **state)
{
    (void)state;
    assert_true(busy_share(25) > 0.97);
    assert_true(busy_share(12) < 0.6); /* half of them: renders wait until masters are gone */
}

/* What holds whatever chance does: no less than the longest chain, no less than the work divided, no more than all in a row. */
static void bounds_hold(void **state)
{
    (void)state;
    for (int seed = 1; seed < 300; seed++) {
        int64_t clips[20], all = 0;
        for (int i = 0; i < 20; i++) all += clips[i] = (seed * 7 + i * 5) % 9;
        Night n = night(20, clips, 1 + seed % 3, 1 + seed % 4, seed % 3, seed % 3 == 0);
        n.render = (Times){one_to_nine, 9};
        n.finish = (Times){one_to_nine, 9};
        NightResult r;
        night_play(&n, (uint64_t)seed, &r);
        const double busy = r.render_busy_s + r.finish_busy_s;
        assert_true(isfinite(r.finish_s));
        assert_true(r.finish_s >= busy / (n.nodes * (n.groups + n.finishers)) - 1e-9);
        assert_true(r.finish_s <= busy + 1e-9);
        assert_true(r.most_masters <= RULES_MASTERS * n.nodes * (n.groups + n.finishers));
        assert_true(r.first_clip_s <= r.finish_s);
        NightResult again;
        night_play(&n, (uint64_t)seed, &again);
        assert_true(again.finish_s == r.finish_s);
        (void)all;
    }
}

static void failures_cost_time_and_lose_nothing(void **state)
{
    (void)state;
    int64_t clips[100];
    for (int i = 0; i < 100; i++) clips[i] = 3;
    Night n = night(100, clips, 4, 2, 1, false);
    NightForecast calm, rough;
    night_forecast(&n, 0, (NightEffort){3, 50, 10}, &calm);
    n.node_mtbf_s = 400;
    n.restart_s = 20;
    n.checkpoint_s = 5;
    night_forecast(&n, calm.p50_s * 1.01, (NightEffort){3, 50, 10}, &rough);
    assert_true(rough.failures > 0.5);
    assert_true(rough.p50_s > calm.p50_s);
    assert_true(rough.probability < 0.5);
    n.node_mtbf_s = 1; /* everything dies at once: it is never done, and says so */
    NightResult r;
    night_play(&n, 1, &r);
    assert_true(isinf(r.finish_s));
    assert_int_equal(r.failures, 4);
}

/* Two renders of 10 s whose first half is the same: one worker computes it once; of two, one waits for the other, which is no faster. */
static void shared_first_steps(void **state)
{
    (void)state;
    const int64_t ones[] = {1, 1, 1}, trunk[] = {0, 0, 1};
    Night n = night(2, ones, 1, 1, 0, true);
    n.trunk = trunk, n.trunk_share = 0.5;
    assert_float_equal(finish_of(&n), 10 + 2 + 5 + 2, 0.002);
    n.groups = 2;
    assert_float_equal(finish_of(&n), 10 + 2, 0.002);
    n.shots = 3, n.groups = 1; /* the third has a trunk to itself */
    assert_float_equal(finish_of(&n), 10 + 2 + 5 + 2 + 10 + 2, 0.002);
    n.shots = 2;
    n.dies_at_s = 3, n.restart_s = 1; /* the trunk is begun again by the shot that has the worker now */
    assert_float_equal(finish_of(&n), 3 + 1 + 10 + 2 + 7 + 2, 0.002);
}

static double mean_of_nights(const Night *n)
{
    double sum = 0;
    NightResult r;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        night_play(n, seed, &r);
        sum += r.finish_s / 50;
    }
    return sum;
}

/* One node of a hundred dies in about every night. */
static void a_node_loses_what_no_checkpoint_holds(void **state)
{
    (void)state;
    int64_t clips[1000];
    for (int i = 0; i < 1000; i++) clips[i] = 1;
    Night n = night(1000, clips, 100, 2, 1, false);
    n.node_mtbf_s = 5000;
    const double often_s = mean_of_nights(&n);
    n.checkpoint_s = 1e9;
    const double never_s = mean_of_nights(&n);
    assert_true(never_s > often_s + 1);
    n.node_s = 100; /* it is noticed late */
    assert_true(mean_of_nights(&n) > never_s + 50);
}

/* One render of 10 s whose coordinator dies after 6 s: the steps until then are kept, 4 s are left, and the start again. */
static void a_job_goes_on_from_its_checkpoints(void **state)
{
    (void)state;
    const int64_t ones[] = {1, 1};
    Night n = night(1, ones, 1, 1, 0, true);
    n.dies_at_s = 6, n.restart_s = 3;
    assert_float_equal(finish_of(&n), 6 + 3 + 4 + 2, 0.002);
    n.decode_share = 0.5; /* of which one second was done: lost */
    assert_float_equal(finish_of(&n), 6 + 3 + 5 + 2, 0.002);
    const double load[] = {4};
    n.load = (Times){load, 1}; /* is done again, and is no part of what was rendered: two seconds */
    assert_float_equal(finish_of(&n), 6 + 3 + 4 + 8 + 2, 0.002);
    n = night(2, ones, 1, 1, 0, true);
    n.dies_at_s = 6, n.restart_s = 3;
    NightResult r;
    night_play(&n, 1, &r); /* the interrupted shot comes last: 9 + 10 + 2, then 4 + 2 */
    assert_float_equal(r.finish_s, 27, 0.002);
    assert_float_equal(r.first_clip_s, 21, 0.002);
    n.dies_at_s = 0, n.preempt_mtbf_s = 5, n.requeue_s = 100;
    night_play(&n, 3, &r);
    assert_true(r.preemptions > 0 && isfinite(r.finish_s));
    assert_true(r.finish_s > 103 * r.preemptions && r.finish_s < 24.1 + 105 * r.preemptions);
}

static void failing_leases_are_done_again(void **state)
{
    (void)state;
    int64_t clips[200];
    NightResult calm, rough;
    for (int i = 0; i < 200; i++) clips[i] = 3;
    Night n = night(200, clips, 1, 8, 0, true);
    night_play(&n, 1, &calm);
    n.fail_share = 0.1;
    night_play(&n, 1, &rough);
    assert_in_range(rough.failed, 0, 20);
    const double more = (rough.render_busy_s + rough.finish_busy_s) / (calm.render_busy_s + calm.finish_busy_s);
    assert_true(more > 1.05 && more < 1.2);
    n.fail_share = 1; /* every worker is set aside: it is never done */
    night_play(&n, 1, &rough);
    assert_true(isinf(rough.finish_s));
}

static void quantiles_are_in_order(void **state)
{
    (void)state;
    int64_t clips[50];
    for (int i = 0; i < 50; i++) clips[i] = 2;
    Night n = night(50, clips, 1, 2, 0, true);
    n.render = (Times){one_to_nine, 9};
    n.run_sd = 0.1;
    NightForecast f;
    night_forecast(&n, 0, (NightEffort){3, 200, 10}, &f);
    assert_int_equal(f.trials, 200);
    assert_true(f.p10_s < f.p50_s && f.p50_s < f.p90_s);
    assert_true(log(f.p90_s / f.p10_s) > 0.2 && log(f.p90_s / f.p10_s) < 0.35); /* 2 * 1.2816 * 0.1 and a little */
    night_forecast(&n, f.p50_s, (NightEffort){3, 200, 10}, &f);
    assert_true(f.probability > 0.4 && f.probability < 0.6);
}

static void ten_thousand_nodes(void **state)
{
    (void)state;
    const int64_t shots = 400000;
    int64_t *clips = malloc((size_t)shots * sizeof *clips);
    for (int64_t i = 0; i < shots; i++) clips[i] = 25; /* ten million clips */
    Night n = night(shots, clips, 10000, 8, 8, false);
    n.node_mtbf_s = 1000 * 86400.0 / 5;
    n.restart_s = 60;
    NightResult r;
    const clock_t begin = clock();
    night_play(&n, 1, &r);
    const double s = (double)(clock() - begin) / CLOCKS_PER_SEC; /* of processor: other tests run beside this one */
    assert_true(isfinite(r.finish_s));
    assert_int_equal(r.failed, 0);
    print_message("10,000 nodes, 10,000,000 clips: a night in %.1f s of processor\n", s);
    assert_true(3 * s < 60); /* the least that a forecast plays */
    free(clips);
}

static double median_of(const Night *n)
{
    NightForecast f;
    night_forecast(n, 0, (NightEffort){9, 9, 0}, &f);
    return f.p50_s;
}

/* Few shots, or one with most of the clips, have no part that stands for them. */
static void no_part_of_a_farm(void **state)
{
    (void)state;
    enum { SHOTS = 50000 };
    int64_t *clips = malloc(SHOTS * sizeof *clips);
    for (int few = 0; few < 2; few++) {
        const int64_t shots = few ? 40 : SHOTS;
        for (int64_t i = 0; i < shots; i++) clips[i] = few ? 25000 : i == 0 ? 400000 : 10;
        const Night n = night(shots, clips, 2000, 2, 1, true);
        SmallNight small;
        night_make_small(&n, 100000, &small);
        assert_int_equal(small.night.nodes, 2000);
        assert_int_equal(small.night.shots, shots);
        assert_ptr_equal(small.night.clips, clips);
        night_small_clear(&small);
    }
    free(clips);
}

/* A part of a farm with that part of the work is done at about the same time; with its trunks, many or few, as well. */
static void part_of_a_farm(void **state)
{
    (void)state;
    enum { SHOTS = 50000 };
    static const int64_t share[] = {0, 5, SHOTS / 10}; /* shots of a trunk */
    int64_t *clips = malloc(SHOTS * sizeof *clips), *trunk = malloc(SHOTS * sizeof *trunk);
    for (int64_t i = 0; i < SHOTS; i++) clips[i] = 1 + i % 20;
    for (int k = 0; k < 3; k++) {
        Night n = night(SHOTS, clips, 2000, 2, 1, true);
        SmallNight small;
        n.render = (Times){one_to_nine, 9};
        n.run_sd = n.worker_sd = 0.02;
        n.waiting = 5000;
        for (int64_t i = 0; i < SHOTS && share[k]; i++) trunk[i] = i / share[k];
        if (share[k]) n.trunk = trunk, n.trunk_share = 0.5;
        night_make_small(&n, 100000, &small);
        assert_in_range(small.night.nodes, 300, 400); /* of 580,000 shots and clips */
        assert_in_range(small.night.shots, 2000 * 3.5, 2000 * 5.5);
        assert_true(fabs(median_of(&small.night) / median_of(&n) - 1) < 0.04);
        night_small_clear(&small);
    }
    Night few = night(SHOTS, clips, 100, 2, 1, true), dying = night(SHOTS, clips, 2000, 2, 1, true);
    SmallNight small;
    night_make_small(&few, 100000, &small);
    assert_int_equal(small.night.nodes, 100);
    night_small_clear(&small);
    dying.node_mtbf_s = 1e6;
    night_make_small(&dying, 100000, &small);
    assert_true(fabs(small.night.nodes / small.night.node_mtbf_s / (dying.nodes / dying.node_mtbf_s) - 1) < 1e-9);
    night_small_clear(&small);
    free(clips);
    free(trunk);
}

static void costs_are_plain_numbers(void **state)
{
    (void)state;
    assert_string_equal(amount_cost(1234.5).text, "1234.50");
    assert_string_equal(amount_cost(0.01833).text, "0.0183");
    assert_string_equal(amount_cost(0.0001).text, "0.0001");
    assert_string_equal(amount_cost(0.00001).text, "less than 0.0001");
    assert_string_equal(amount_cost(0).text, "0");
}

static void checkpoints(void **state)
{
    (void)state;
    assert_float_equal(night_checkpoint_s(0.5, 3600), 59.5, 1e-9); /* sqrt(2 * 0.5 * 3600) - 0.5 */
    assert_true(night_checkpoint_s(1, 0) == 0);
    assert_true(night_checkpoint_s(10, 1) == 10);
}

/* Two packages, one of whose counters begins again between the readings. */
static void write_counter(const char *folder, int package, const char *name, const char *value)
{
    char *place = text_format("%s/intel-rapl:%d", folder, package), *path = path_join(place, name);
    assert_int_equal(file_make_folders(place).err, OK);
    assert_int_equal(file_replace(path, value, strlen(value)).err, OK);
    free(path);
    free(place);
}

static void energy_of_packages(void **state)
{
    (void)state;
    char *folder = text_format("energy-%d", (int)getpid());
    EnergyReading before, after;
    assert_false(energy_read_processors(folder, &before));
    for (int i = 0; i < 2; i++) write_counter(folder, i, "max_energy_range_uj", "65000000000\n");
    write_counter(folder, 0, "energy_uj", "1000000\n");
    write_counter(folder, 1, "energy_uj", "64999000000\n");
    assert_true(energy_read_processors(folder, &before));
    write_counter(folder, 0, "energy_uj", "4500000\n");
    write_counter(folder, 1, "energy_uj", "2000000\n");
    assert_true(energy_read_processors(folder, &after));
    assert_float_equal(energy_between(&before, &after), 3.5 + 3, 1e-9);
    file_remove_tree(folder);
    free(folder);
}

static void energy_of_gpus(void **state)
{
    (void)state;
    double joules[NVML_GPUS];
    EnergyReading before = {0}, after = {0};
    assert_int_equal(nvml_read_energy("/nonexistent/libnvidia-ml.so.1", joules), 0);
    before.gpus = nvml_read_energy(NVML_STAND_IN, before.gpu_j);
    after.gpus = nvml_read_energy(NVML_STAND_IN, after.gpu_j);
    assert_int_equal(before.gpus, 2);
    assert_int_equal(after.gpus, 2);
    assert_true(before.gpu_j[0] > 7000);
    assert_true(energy_between_gpus(&before, &after) >= 0); /* a library that is unloaded may begin again */
    before.gpu_j[0] = 1, before.gpu_j[1] = 2, after.gpu_j[0] = 2.5, after.gpu_j[1] = 4.5;
    assert_float_equal(energy_between_gpus(&before, &after), 4, 1e-9);
    setenv("NVML_STAND_IN", "fails", 1);
    assert_int_equal(nvml_read_energy(NVML_STAND_IN, joules), 0); /* half of the GPUs are no figure */
    unsetenv("NVML_STAND_IN");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(worked_out_by_hand),
                                       cmocka_unit_test(as_simgrid_plays_them),
                                       cmocka_unit_test(shared_first_steps),
                                       cmocka_unit_test(renderers_wait_for_too_few_finishers_only),
                                       cmocka_unit_test(bounds_hold),
                                       cmocka_unit_test(failures_cost_time_and_lose_nothing),
                                       cmocka_unit_test(a_node_loses_what_no_checkpoint_holds),
                                       cmocka_unit_test(a_job_goes_on_from_its_checkpoints),
                                       cmocka_unit_test(failing_leases_are_done_again),
                                       cmocka_unit_test(quantiles_are_in_order),
                                       cmocka_unit_test(ten_thousand_nodes),
                                       cmocka_unit_test(part_of_a_farm),
                                       cmocka_unit_test(no_part_of_a_farm),
                                       cmocka_unit_test(costs_are_plain_numbers),
                                       cmocka_unit_test(checkpoints),
                                       cmocka_unit_test(energy_of_packages),
                                       cmocka_unit_test(energy_of_gpus)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
