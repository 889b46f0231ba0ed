/* test_night_farm.c - a night on paper and the same night of the real dispatch, with ledger, messages and simulated workers: every lease at
 * the same moment to the same worker, and the same end. Campaigns, workers, times, failures and deaths are drawn. */
#include "dispatch_fixture.h"

#include <math.h>

#include "coordinator/plan/left.h"
#include "coordinator/plan/night.h"

enum { NIGHTS = 150, MOST_SHOTS = 9, MOST_CLIPS = 40, MOST_LEASES = 2000 };

typedef struct {
    int64_t at_ms, shot, clip;
    int rank, kind;
} Given;

typedef struct {
    uint64_t seed;
    int workers, finishers, shots, rows;
    int64_t clips[MOST_SHOTS], first[MOST_SHOTS]; /* of each shot */
    int64_t dies_ms[MAX_WORKERS + 1];             /* INT64_MAX: never */
    int fail_percent;
    Given real[MOST_LEASES], paper[MOST_LEASES];
    int real_count, paper_count;
} Case;

static Case the;

/* The same number for the same question, whoever asks. */
static int chance(uint64_t what, uint64_t more, int sides)
{
    uint64_t z = the.seed * 0x9e3779b97f4a7c15u + what * 0xbf58476d1ce4e5b9u + more * 0x94d049bb133111ebu;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (int)((z ^ z >> 31) % (uint64_t)sides);
}

static uint64_t name_of(int rank, LeaseKind kind, int64_t shot, int64_t clip)
{
    return (uint64_t)rank + 16 * (uint64_t)kind + 64 * (uint64_t)shot + 4096 * (uint64_t)(clip + 1);
}

static int steps_of_lease(int rank, LeaseKind kind, int64_t shot, int64_t clip)
{
    return 1 + chance(1, name_of(rank, kind, shot, clip), kind == LEASE_RENDER ? 9 : 4);
}

static bool lease_fails(int rank, LeaseKind kind, int64_t shot, int64_t clip)
{
    return chance(2, name_of(rank, kind, shot, clip), 100) < the.fail_percent;
}

/* ---- on paper ---- */

static double takes_s(void *self, int rank, LeaseKind kind, int64_t shot, int64_t clip)
{
    (void)self;
    return steps_of_lease(rank, kind, shot, clip) * STEP_MS / 1000.0;
}

static bool fails(void *self, int rank, LeaseKind kind, int64_t shot, int64_t clip)
{
    (void)self;
    return lease_fails(rank, kind, shot, clip);
}

static double dies_s(void *self, int rank)
{
    (void)self;
    return the.dies_ms[rank] == INT64_MAX ? INFINITY : (double)the.dies_ms[rank] / 1000;
}

static void given(void *self, double at_s, int rank, LeaseKind kind, int64_t shot, int64_t clip)
{
    (void)self;
    assert_true(the.paper_count < MOST_LEASES);
    the.paper[the.paper_count++] = (Given){(int64_t)(at_s * 1000 + 0.5), shot, clip, rank, (int)kind};
}

static NightResult play_on_paper(void)
{
    static const double nothing[] = {0};
    const NightScript script = {NULL, takes_s, fails, dies_s, given};
    const Night n = {.shots = the.shots,
                     .clips = the.clips,
                     .nodes = 1,
                     .groups = the.workers - the.finishers,
                     .finishers = the.finishers,
                     .both = the.finishers == 0,
                     .render = {nothing, 1},
                     .finish = {nothing, 1},
                     .load = {nothing, 1},
                     .start_s = TICK_MS / 1000.0, /* the workers say that they are ready */
                     .gap_s = TICK_MS / 1000.0,   /* a lease is heard at the next tick */
                     .script = &script};
    NightResult r;
    night_play(&n, 1, &r);
    return r;
}

/* ---- with the coordinator ---- */

static int64_t clip_of_lease(const Lease *l)
{
    return l->kind == LEASE_RENDER ? -1 : strtol(l->clip_id + 3, NULL, 10) - the.first[l->shot.seed];
}

static ErrClass fate_of_lease(Farm *f, Sim *s, const char **reason)
{
    const Lease *l = &s->talk.lease;
    (void)f;
    *reason = "as drawn";
    return lease_fails(s->rank, l->kind, (int64_t)l->shot.seed, clip_of_lease(l)) ? ERR_RETRY : OK;
}

static int steps_of_worker(Farm *f, const Sim *s)
{
    const Lease *l = &s->talk.lease;
    (void)f;
    return steps_of_lease(s->rank, l->kind, (int64_t)l->shot.seed, clip_of_lease(l));
}

static Status keep_lease(void *self, const LeaseRow *row)
{
    const char *colon = strrchr(row->worker, ':');
    (void)self;
    assert_true(the.real_count < MOST_LEASES);
    the.real[the.real_count++] = (Given){(int64_t)((row->given_s - 1e9) * 1000 + 0.5), row->shot,
                                         row->kind == LEASE_RENDER ? -1 : row->clip - the.first[row->shot],
                                         (int)strtol(colon + 1, NULL, 10) % 100, (int)row->kind};
    return status_ok();
}

static int64_t play_with_the_coordinator(DispatchEnd *end)
{
    Farm f = {.folder = fixture_folder(),
              .campaign = fixture_campaign("night", the.rows, 1),
              .finishers = the.finishers,
              .fate = fate_of_lease,
              .steps = steps_of_worker};
    for (int shot = 0; shot < the.shots; shot++)
        for (int i = 0; i < the.clips[shot]; i++) f.campaign->clip[the.first[shot] + i].shot = shot;
    f.campaign->shot_count = the.shots;
    start_job(&f, the.workers, (LocalFaults){0});
    while (dispatch_end(f.dispatch) == DISPATCH_WORKING) {
        for (int i = 1; i <= the.workers; i++)
            if (the.dies_ms[i] == f.now_ms + TICK_MS) kill_worker(&f, &f.sim[i]);
        tick(&f);
        assert_true(f.now_ms < 1000000);
    }
    const int64_t end_ms = f.now_ms;
    *end = dispatch_end(f.dispatch);
    assert_good(ledger_read_leases(f.ledger, -1, -1, (LeaseSink){keep_lease, NULL}));
    f.campaign->shot_count = the.rows; /* for fixture_campaign_free */
    close_farm(&f);
    return end_ms;
}

/* ---- both ---- */

static void draw_case(uint64_t seed)
{
    the = (Case){.seed = seed, .workers = 1 + chance(3, seed, 6)};
    the.finishers = the.workers > 1 ? chance(4, seed, the.workers) : 0;
    the.shots = 1 + chance(5, seed, MOST_SHOTS);
    the.fail_percent = seed % 3 ? chance(6, seed, 25) : 0;
    for (int shot = 0; shot < the.shots; shot++) {
        the.first[shot] = the.rows;
        the.clips[shot] = 1 + chance(7, (uint64_t)shot, seed % 2 ? 2 : MOST_CLIPS / the.shots);
        the.rows += (int)the.clips[shot];
    }
    for (int rank = 1; rank <= MAX_WORKERS; rank++)
        the.dies_ms[rank] = seed % 4 == 3 && chance(8, (uint64_t)rank, 3) == 0
                                ? TICK_MS * (2 + chance(9, (uint64_t)rank, 200))
                                : INT64_MAX;
}

static struct {
    int leases, again,
        ended_early; /* again: leases of what had failed or was lost; ended_early: nights with work left */
} told;

static int count_again(void)
{
    int again = 0;
    for (int i = 0; i < the.real_count; i++)
        for (int k = 0; k < i; k++)
            if (the.real[i].kind == the.real[k].kind && the.real[i].shot == the.real[k].shot &&
                the.real[i].clip == the.real[k].clip) {
                again++;
                break;
            }
    return again;
}

static void compare(uint64_t seed)
{
    DispatchEnd end;
    draw_case(seed);
    const NightResult paper = play_on_paper();
    const int64_t end_ms = play_with_the_coordinator(&end);
    for (int i = 0; i < the.real_count && i < the.paper_count; i++) {
        const Given *r = &the.real[i], *p = &the.paper[i];
        if (r->at_ms == p->at_ms && r->rank == p->rank && r->kind == p->kind && r->shot == p->shot &&
            r->clip == p->clip)
            continue;
        fail_msg("night %d, lease %d: the coordinator gave shot %d clip %d to worker %d at %d ms, the plan shot %d "
                 "clip %d to "
                 "worker %d at %d ms",
                 (int)seed, i, (int)r->shot, (int)r->clip, r->rank, (int)r->at_ms, (int)p->shot, (int)p->clip, p->rank,
                 (int)p->at_ms);
    }
    assert_int_equal(the.real_count, the.paper_count);
    assert_int_equal(end == DISPATCH_DONE, isfinite(paper.finish_s));
    told.leases += the.real_count;
    told.again += count_again();
    told.ended_early += end != DISPATCH_DONE;
    if (end == DISPATCH_DONE) assert_int_equal(end_ms, (int64_t)(paper.finish_s * 1000 + 0.5));
}

static void random_nights_are_the_same(void **state)
{
    (void)state;
    log_set_level(LOG_ERROR);
    for (uint64_t seed = 1; seed <= NIGHTS; seed++) compare(seed);
    print_message("%d nights, %d leases, %d of them again, %d nights ended with work left\n", NIGHTS, told.leases,
                  told.again, told.ended_early);
    assert_true(told.again > 100 && told.ended_early > 0);
}

/* In the middle of a night, from its own leases. */
static void the_time_left_is_about_right(void **state)
{
    (void)state;
    for (int finishers = 0; finishers < 2; finishers++) {
        Farm f = {.folder = fixture_folder(), .campaign = fixture_campaign("night", 60, 3), .finishers = finishers};
        TimeLeft left;
        bool known;
        f.finish_steps = 2;
        start_job(&f, 3, (LocalFaults){0});
        Snapshot s = look(&f);
        assert_good(left_estimate(f.ledger, &s, 1e9, &left, &known));
        assert_false(known); /* nothing has happened yet */
        snapshot_clear(&s);
        while (outcomes(&f).finished < 20) tick(&f);
        const int64_t begin_ms = f.now_ms;
        s = look(&f);
        assert_good(left_estimate(f.ledger, &s, 1e9 + (double)begin_ms / 1000, &left, &known));
        assert_true(known);
        snapshot_clear(&s);
        while (dispatch_end(f.dispatch) == DISPATCH_WORKING) tick(&f);
        const double took_s = (double)(f.now_ms - begin_ms) / 1000;
        print_message("left: %.1f s, %.1f to %.1f; it took %.1f s\n", left.p50_s, left.p10_s, left.p90_s, took_s);
        assert_true(left.p10_s <= left.p50_s && left.p50_s <= left.p90_s);
        assert_true(fabs(left.p50_s / took_s - 1) < 0.15);
        close_farm(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_nights_are_the_same),
                                       cmocka_unit_test(the_time_left_is_about_right)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
