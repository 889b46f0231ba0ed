#include "night.h"

#include "common/log.h"
#include "common/provoke.h"

enum { MOST_LAUNCHES = 80, MOST_LAUNCH_S = 400 };

void night_fail(const Night *n, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fprintf(stderr, "FAILED: night of seed %llu: ", (unsigned long long)n->seed);
    vfprintf(stderr, fmt, args);
    fprintf(stderr, "\nagain: fault_campaigns --seed %llu --campaigns 1 --tell; its folder: %s\n",
            (unsigned long long)n->seed, n->folder);
    va_end(args);
    exit(1);
}

void night_tell(const Night *n, const char *fmt, ...)
{
    if (!n->told) return;
    va_list args;
    va_start(args, fmt);
    fprintf(stderr, "%8.3f launch %d: ", (double)n->now_ms / 1000, n->launches);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
}

int night_roll(Night *n, int sides)
{
    n->dice = n->dice * 6364136223846793005u + 1442695040888963407u;
    return (int)((n->dice >> 33) % (uint64_t)sides);
}

char *night_checkpoint(const Night *n, int64_t shot)
{
    return text_format("%s/latents/%s.h5", n->folder, n->campaign->shot[shot].key);
}

int64_t night_shot_of(const Night *n, const char *key)
{
    for (int64_t i = 0; i < n->campaign->shot_count; i++)
        if (strcmp(n->campaign->shot[i].key, key) == 0) return i;
    night_fail(n, "a lease for a shot that is not in the campaign: %s", key);
}

void night_open(Night *n, uint64_t seed, int rows, int rows_per_shot)
{
    *n = (Night){.seed = seed,
                 .dice = seed,
                 .tails = seed % 2 == 0,
                 .poison = -1,
                 .rows_per_shot = rows_per_shot,
                 .folder = fixture_folder()};
    n->campaign = fixture_campaign("night", rows, rows_per_shot);
    n->campaign->checkpoint_every = NIGHT_EVERY;
    for (int64_t i = 0; i < n->campaign->shot_count; i++) {
        n->campaign->shot[i].spec.steps = NIGHT_STEPS;
        shot_key(&n->campaign->shot[i].spec, n->campaign->model_hash, n->campaign->shot[i].key);
    }
    night_calm();
}

static void lay_ghost(Ghost *g)
{
    sim_worker_close(&g->sim->w);
    free(g->sim);
    local_net_free(&g->net);
}

void night_close(Night *n)
{
    night_end_job(n, false);
    for (int i = 0; i < n->ghosts; i++) lay_ghost(&n->ghost[i]);
    fixture_campaign_free(n->campaign);
    fixture_remove(n->folder);
}

void night_request(Night *n, const char *verb)
{
    Ledger *l;
    LedgerRequest r = {
        .verb = (char *)(uintptr_t)verb, .clip_id = (char *)(uintptr_t) "", .filter = (char *)(uintptr_t) ""};
    NIGHT_GOOD(n, ledger_open(n->folder, LEDGER_WRITE, &l));
    NIGHT_GOOD(n, ledger_request(l, &r, 1e9 + (double)n->now_ms / 1000));
    ledger_close(&l);
}

/* ---- a job ---- */

/* False when the coordinator dies while it takes its epoch. */
static bool start_job(Night *n)
{
    const LocalFaults quiet = {.seed = n->dice}, bad = {.seed = n->dice,
                                                        .lose = night_roll(n, 10) / 100.0,
                                                        .duplicate = night_roll(n, 20) / 100.0,
                                                        .delay = night_roll(n, 30) / 100.0,
                                                        .delay_max = 5};
    DispatchOptions o = {.start_s = 1e9 + (double)n->now_ms / 1000,
                         .start_ms = n->now_ms,
                         .step_limit_ms = LIMIT_MS,
                         .grace_ms = 60000,
                         .wait_ms = -1,
                         .most_failed = -1};
    Status status = status_ok();
    n->launches++;
    n->sims = 2 + night_roll(n, MOST_SIMS - 2);
    n->net = local_net_new(n->sims + 1, n->strikes_left > 0 ? bad : quiet);
    n->sim = memory_get((size_t)n->sims + 1, sizeof *n->sim);
    for (int i = 1; i <= n->sims; i++) sim_open(n, &n->sim[i], i, n->net);
    if (n->plan) NIGHT_GOOD(n, n->plan(n));
    TRY_OUT(ledger_open(n->folder, LEDGER_WRITE, &n->ledger));
    if (!n->plan) TRY_OUT(ledger_adopt(n->ledger, n->campaign, o.start_s));
    TRY_OUT(ledger_begin_epoch(n->ledger, "here", 1, o.start_s));
    NIGHT_GOOD(n, events_open(n->folder, n->campaign->name, &n->events));
    TRY_OUT(dispatch_open(n->ledger, local_net_link(n->net, 0), n->events, &o, &n->dispatch));
out:
    if (failed(status)) {
        NIGHT_CHECK(n, strstr(status.message, "a failure was ordered"), "the job did not start: %s", status.message);
        night_calm();
    }
    return !failed(status);
}

void night_end_job(Night *n, bool ghost)
{
    Sim *left = NULL;
    for (int i = 1; i <= n->sims; i++) {
        Sim *s = &n->sim[i];
        bool haunts = ghost && !left && n->ghosts < (int)(sizeof n->ghost / sizeof *n->ghost) && !s->w.dead &&
                      s->w.talk.has_lease;
        if (haunts) {
            left = memory_get(1, sizeof *left);
            *left = *s;
            n->ghost[n->ghosts++] = (Ghost){n->net, left};
            night_tell(n, "worker %d works on without its job", s->w.rank);
        } else {
            sim_worker_close(&s->w);
        }
    }
    dispatch_close(&n->dispatch);
    events_close(&n->events);
    ledger_close(&n->ledger);
    if (!left) local_net_free(&n->net);
    n->net = NULL;
    free(n->sim);
    n->sim = NULL;
    n->sims = 0;
}

/* False when the coordinator has died. */
static bool tick(Night *n)
{
    n->now_ms += TICK_MS;
    if (n->tick) n->tick(n);
    if (n->resume_ms && n->now_ms > n->resume_ms) {
        night_request(n, "resume");
        n->resume_ms = 0;
    }
    for (int i = 1; i <= n->sims; i++) {
        const bool lived = !n->sim[i].w.dead;
        sim_tick(n, &n->sim[i]);
        if (lived && n->sim[i].w.dead) local_net_kill(n->net, i);
    }
    for (int i = 0; i < n->ghosts; i++) sim_tick(n, n->ghost[i].sim);
    Status status = dispatch_round(n->dispatch, n->now_ms, 0);
    if (!failed(status)) return true;
    NIGHT_CHECK(n, strstr(status.message, "a failure was ordered") || strstr(status.message, "fenced"),
                "the coordinator ended: %s", status.message);
    night_tell(n, "the coordinator ends: %s", status.message);
    night_calm();
    return false;
}

/* One launch, however it ends. */
static void run_job(Night *n)
{
    const int64_t end_ms = n->now_ms + MOST_LAUNCH_S * 1000;
    if (!start_job(n)) {
        night_end_job(n, false);
        return;
    }
    while (n->dispatch && dispatch_going(n->dispatch)) {
        NIGHT_CHECK(n, n->now_ms < end_ms, "a launch goes on for more than %d s of the night's clock", MOST_LAUNCH_S);
        if (n->strikes_left > 0 && night_roll(n, 25) == 0) {
            n->strikes_left--;
            night_strike(n);
        }
        if (n->dispatch && !tick(n)) night_end_job(n, night_roll(n, 3) == 0);
    }
    if (!n->dispatch) return;
    night_tell(n, "the job ends: %d %s", (int)dispatch_end(n->dispatch), dispatch_reason(n->dispatch));
    Status status = ledger_end_epoch(n->ledger, "ended", 1e9 + (double)n->now_ms / 1000);
    if (failed(status)) night_tell(n, "its end is not written: %s", status.message);
    night_calm();
    night_end_job(n, night_roll(n, 3) == 0);
}

/* What the launcher asks: the ledger, not the job. */
static bool is_complete(Night *n)
{
    Snapshot s;
    Ledger *l;
    NIGHT_GOOD(n, ledger_open(n->folder, LEDGER_READ, &l));
    NIGHT_GOOD(n, ledger_read_snapshot(l, &s));
    bool complete = s.clips > 0 && s.left == 0;
    snapshot_clear(&s);
    ledger_close(&l);
    return complete;
}

void night_run(Night *n)
{
    for (int launch = 0; launch < MOST_LAUNCHES; launch++) {
        run_job(n);
        if (is_complete(n)) return;
    }
    night_fail(n, "not complete after %d launches", MOST_LAUNCHES);
}
