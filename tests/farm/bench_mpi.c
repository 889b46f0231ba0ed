/* bench_mpi.c - the coordinator and its workers as ranks of one MPI job on one machine, many more of them than cores: what
 * the real link costs, and that ranks which wait sleep. Here the clock is the machine's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bench_farm.h"
#include "common/file.h"
#include "common/moment.h"
#include "coordinator/dispatch/dispatch.h"
#include "coordinator/ledger/view.h"

enum { WAIT_MS = 100, IDLE_MS = 3000, ARRIVE_MS = 600000 };

typedef struct {
    const BenchFarm *bench;
    Ledger *ledger;
    Events *events;
    Dispatch *dispatch;
    Link *link;
} MpiFarm;

/* Of one process so far, from /proc; 0 when it is gone. */
static double process_cpu_s(int pid)
{
    char path[64], text[1024];
    unsigned long user = 0, system = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    if (f) fclose(f);
    text[n] = 0;
    const char *rest = strrchr(text, ')'); /* the name before it may hold anything */
    if (rest) sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system);
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

/* Of the workers that have introduced themselves, and how many those are. */
static Status workers_cpu_s(MpiFarm *f, double *cpu_s, int *count)
{
    Snapshot s;
    TRY(ledger_read_snapshot(f->ledger, &s));
    *cpu_s = 0;
    *count = s.worker_count;
    for (int i = 0; i < s.worker_count; i++) *cpu_s += process_cpu_s(s.worker[i].pid);
    snapshot_clear(&s);
    return status_ok();
}

static Status run_for(MpiFarm *f, int64_t ms)
{
    for (int64_t end = moment_ms() + ms; moment_ms() < end;) TRY(dispatch_round(f->dispatch, moment_ms(), WAIT_MS));
    return status_ok();
}

/* The campaign is paused: every rank waits, and the processor time of all of them is what waiting costs. */
static Status measure_idle(MpiFarm *f)
{
    double before_s = 0, after_s = 0;
    int there = 0;
    for (int64_t end = moment_ms() + ARRIVE_MS; there < f->bench->workers && moment_ms() < end;) {
        TRY(run_for(f, WAIT_MS));
        TRY(workers_cpu_s(f, &before_s, &there));
    }
    if (there < f->bench->workers) return status_fail(ERR_FATAL, "%d of %d workers arrived", there, f->bench->workers);
    double own_s = process_cpu_s((int)getpid()), began_s = moment_s();
    TRY(run_for(f, IDLE_MS));
    TRY(workers_cpu_s(f, &after_s, &there));
    double took_s = moment_s() - began_s, percent = (after_s - before_s) / took_s * 100;
    printf("idle         %d ranks use %.0f %% of one core together, the coordinator %.0f %%\n", there, percent,
           (process_cpu_s((int)getpid()) - own_s) / took_s * 100);
    if (percent > f->bench->most_idle_percent)
        return status_fail(ERR_FATAL, "idle ranks use %.0f %% of a core, expected at most %d", percent,
                           f->bench->most_idle_percent);
    return status_ok();
}

static Status measure_work(MpiFarm *f)
{
    double own_s = process_cpu_s((int)getpid()), began_s = moment_s();
    TRY(ledger_request(f->ledger, &(LedgerRequest){.verb = "resume"}, moment_wall_s()));
    while (dispatch_end(f->dispatch) == DISPATCH_WORKING) TRY(dispatch_round(f->dispatch, moment_ms(), WAIT_MS));
    double took_s = moment_s() - began_s,
           shots = (double)((f->bench->rows + f->bench->size.share - 1) / f->bench->size.share);
    own_s = process_cpu_s((int)getpid()) - own_s;
    while (dispatch_going(f->dispatch)) TRY(dispatch_round(f->dispatch, moment_ms(), WAIT_MS));
    if (dispatch_end(f->dispatch) != DISPATCH_DONE)
        return status_fail(ERR_FATAL, "the farm ended with %s", dispatch_reason(f->dispatch));
    printf(
        "dispatch     %.0f shots in %.1f s over MPI: %.0f shots/s; the coordinator used %.1f s of processor, %.0f us a "
        "shot\n",
        shots, took_s, shots / took_s, own_s, own_s / shots * 1e6);
    if (shots / took_s < f->bench->least_rate)
        return status_fail(ERR_FATAL, "%.0f shots/s over MPI, expected at least %d", shots / took_s,
                           f->bench->least_rate);
    return status_ok();
}

typedef struct { /* of the renders that ended well: from the first's beginning to the last's end */
    double first_s, last_s, busy_s;
} Rendering;

static Status add_render(void *self, const LeaseRow *row)
{
    Rendering *r = self;
    if (row->kind != LEASE_RENDER || strcmp(row->outcome, "done") != 0) return status_ok();
    if (r->first_s == 0 || row->given_s < r->first_s) r->first_s = row->given_s;
    if (row->ended_s > r->last_s) r->last_s = row->ended_s;
    r->busy_s += row->denoise_s; /* the worker's own clock: what messages and ledger take is not in it */
    return status_ok();
}

/* Ranks that only render wait for no finish, however long that takes, while there are enough finishers. */
static Status check_renderers(const MpiFarm *f)
{
    const BenchFarm *b = f->bench;
    Rendering r = {0};
    if (b->finishers == 0) return status_ok();
    TRY(ledger_read_leases(f->ledger, -1, -1, (LeaseSink){add_render, &r}));
    const double span_s = r.last_s - r.first_s;
    const int renderers = b->workers - b->finishers;
    const double percent = 100 * r.busy_s / (span_s * renderers);
    printf("renderers    %d, busy %.1f %% of the %.1f s from the first step to the last\n", renderers, percent, span_s);
    if (percent >= b->least_busy_percent) return status_ok();
    return status_fail(ERR_FATAL, "renderers were busy %.1f %% of the time, expected at least %d", percent,
                       b->least_busy_percent);
}

static Status coordinate(BenchFarm *b, Link *link, bool *clean)
{
    MpiFarm f = {.bench = b, .link = link};
    DispatchOptions o = {.start_s = moment_wall_s(),
                         .simulated = true,
                         .start_ms = moment_ms(),
                         .grace_ms = 60000,
                         .wait_ms = -1,
                         .most_failed = -1,
                         .group_size = b->group};
    Status status = status_ok();
    *clean = false;
    TRY_OUT(bench_plan(b));
    TRY_OUT(ledger_open(b->folder, LEDGER_WRITE, &f.ledger));
    TRY_OUT(ledger_begin_epoch(f.ledger, "bench", (int)getpid(), o.start_s));
    TRY_OUT(ledger_request(f.ledger, &(LedgerRequest){.verb = "pause"}, o.start_s));
    TRY_OUT(events_open(b->folder, "scale", &f.events));
    TRY_OUT(dispatch_open(f.ledger, link, f.events, &o, &f.dispatch));
    TRY_OUT(measure_idle(&f));
    TRY_OUT(measure_work(&f));
    TRY_OUT(check_renderers(&f));
    *clean = dispatch_clean(f.dispatch);
out:
    dispatch_close(&f.dispatch);
    events_close(&f.events);
    ledger_close(&f.ledger);
    return status;
}

static Status work(const BenchFarm *b, Link *link)
{
    BenchWorker w;
    SimWorker *s = &w.sim;
    Status status = status_ok();
    const int last = 1 << LEASE_FINISH, others = b->finishers > 0 ? 1 << LEASE_RENDER : BENCH_BOTH,
              takes = link->rank >= link->count - b->finishers ? last : others;
    bench_worker_open(&w, link, (int)getpid(), takes, b->step_ms, b->finish_ms, NULL);
    while (!s->gone && !failed(status)) {
        const int64_t now_ms = moment_ms(),
                      wait_ms = s->talk.has_lease ? sim_due_ms(&s->work, s->work.unit) - now_ms : 2 * WAIT_MS;
        status = sim_worker_tick(s, now_ms, wait_ms > 0 ? (int)wait_ms : 0);
    }
    sim_worker_close(s);
    return status;
}

Status bench_mpi(BenchFarm *b, const char *model, const char *folder)
{
    Link *link = NULL;
    bool clean = true;
    TRY(link_open_mpi(&link));
    b->workers = link->count - 1;
    Status status = link->rank == 0 ? bench_prepare(b, model, folder) : work(b, link);
    if (link->rank == 0 && !failed(status)) status = coordinate(b, link, &clean);
    fflush(stdout);
    if (!failed(status) && clean) {
        link_close(&link);
        return status;
    }
    fprintf(stderr, "bench_farm: rank %d: %s\n", link->rank, failed(status) ? status.message : "a worker is missing");
    link_abort(&link, 1);
    return status;
}
