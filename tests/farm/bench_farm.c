/* bench_farm.c - how large a campaign and how many groups one coordinator serves: the real plan, ledger, dispatching, message
 * code and lists, with workers that render nothing (bench_worker.h). See SCALE.md beside it for what it printed.
 *
 *   bench_farm MODEL FOLDER [--rows N] [--workers N] ...        in one process: plan, dispatch, status, lists
 *   mpirun -n 65 bench_farm MODEL FOLDER --mpi [--rows N] ...   over MPI: rank 0 coordinates, the others sleep and report
 *
 * Each stage runs in a process of its own, so that its processor time and memory are its own. Fails when a figure misses its
 * limit; the limits are options, because a test's machine may be slow. */
#include "bench_farm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "common/moment.h"
#include "common/options.h"
#include "coordinator/campaign/campaign.h"
#include "coordinator/deliver/deliver.h"
#include "coordinator/deliver/list.h"
#include "coordinator/deliver/report.h"
#include "coordinator/dispatch/dispatch.h"
#include "coordinator/ledger/view.h"

static double cpu_s(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

double bench_file_mb(const char *folder, const char *name)
{
    struct stat s;
    char *path = path_join(folder, name);
    double mb = stat(path, &s) == 0 ? (double)s.st_size / 1e6 : 0;
    free(path);
    return mb;
}

/* ---- stages ---- */

Status bench_plan(const BenchFarm *b)
{
    Campaign *c = NULL;
    Ledger *l = NULL;
    Status status = status_ok();
    TRY_OUT(campaign_load(b->campaign, &c));
    TRY_OUT(ledger_open(b->folder, LEDGER_WRITE, &l));
    TRY_OUT(ledger_adopt(l, c, moment_wall_s()));
out:
    ledger_close(&l);
    campaign_free(&c);
    return status;
}

typedef struct {
    Ledger *ledger;
    Events *events;
    LocalNet *net;
    Dispatch *dispatch;
    BenchWorker *worker;
    int64_t now_ms; /* the farm's clock: it goes on while a round takes its time, so that work piles up as it would */
} LocalFarm;

static Status open_farm(const BenchFarm *b, LocalFarm *f)
{
    DispatchOptions o = {.start_s = moment_wall_s(),
                         .grace_ms = 60000,
                         .wait_ms = -1,
                         .most_failed = -1,
                         .group_size = b->group,
                         .simulated = !b->files};
    f->net = local_net_new(b->workers + 1, (LocalFaults){0});
    TRY(ledger_open(b->folder, LEDGER_WRITE, &f->ledger));
    TRY(ledger_begin_epoch(f->ledger, "bench", (int)getpid(), o.start_s));
    TRY(events_open(b->folder, "scale", &f->events));
    TRY(dispatch_open(f->ledger, local_net_link(f->net, 0), f->events, &o, &f->dispatch));
    f->worker = memory_get((size_t)b->workers, sizeof *f->worker);
    for (int i = 0; i < b->workers; i++)
        bench_worker_open(&f->worker[i], local_net_link(f->net, i + 1), i + 1, BENCH_BOTH, 1 + i / b->group % 3, 0,
                          b->files ? b->folder : NULL);
    return status_ok();
}

static void close_farm(const BenchFarm *b, LocalFarm *f)
{
    for (int i = 0; f->worker && i < b->workers; i++) sim_worker_close(&f->worker[i].sim);
    free(f->worker);
    dispatch_close(&f->dispatch);
    events_close(&f->events);
    ledger_close(&f->ledger);
    local_net_free(&f->net);
}

static Status dispatch_all(const BenchFarm *b, LocalFarm *f)
{
    double began_s = moment_s(), cpu_began_s = cpu_s(CLOCK_PROCESS_CPUTIME_ID), rounds_s = 0, rounds_cpu_s = 0;
    double longest_s = 0, wal_mb = 0;
    int64_t rounds = 0, made[LEASE_KINDS] = {0};
    for (; dispatch_going(f->dispatch); rounds++) {
        for (int i = 0; i < b->workers; i++) TRY(sim_worker_tick(&f->worker[i].sim, f->now_ms, 0));
        f->now_ms = 1 + (int64_t)((moment_s() - began_s) * 1000);
        double wall_s = moment_s(), used_s = cpu_s(CLOCK_PROCESS_CPUTIME_ID);
        TRY(dispatch_round(f->dispatch, f->now_ms, 0));
        wall_s = moment_s() - wall_s;
        rounds_s += wall_s;
        rounds_cpu_s += cpu_s(CLOCK_PROCESS_CPUTIME_ID) - used_s;
        if (wall_s > longest_s) longest_s = wall_s;
        double now_mb = rounds % 16 ? 0 : bench_file_mb(b->folder, "ledger.db-wal");
        if (now_mb > wal_mb) wal_mb = now_mb;
    }
    for (int i = 0; i < b->workers * LEASE_KINDS; i++)
        made[i % LEASE_KINDS] += f->worker[i / LEASE_KINDS].sim.made[i % LEASE_KINDS];
    const int64_t results = made[LEASE_RENDER] + made[LEASE_FINISH];
    double all_s = moment_s() - began_s;
    if (dispatch_end(f->dispatch) != DISPATCH_DONE)
        return status_fail(ERR_FATAL, "the farm ended with %s", dispatch_reason(f->dispatch));
    printf(
        "dispatch     %lld renders and %lld finishes in %lld rounds: %.0f results/s in the coordinator (%.1f s, of them"
        " %.1f s processor), %.0f with the workers in the same thread\n",
        (long long)made[LEASE_RENDER], (long long)made[LEASE_FINISH], (long long)rounds, (double)results / rounds_s,
        rounds_s, rounds_cpu_s, (double)results / all_s);
    printf("             longest round %.0f ms, largest write-ahead log %.0f MB, all processor time %.1f s\n",
           longest_s * 1e3, wal_mb, cpu_s(CLOCK_PROCESS_CPUTIME_ID) - cpu_began_s);
    double rate = (double)results / rounds_s;
    if (rate < b->least_rate)
        return status_fail(ERR_FATAL, "dispatch: %.0f results/s, expected at least %d", rate, b->least_rate);
    return status_ok();
}

static Status bench_dispatch(const BenchFarm *b)
{
    LocalFarm f = {0};
    Status status = open_farm(b, &f);
    if (!failed(status)) status = dispatch_all(b, &f);
    close_farm(b, &f);
    return status;
}

static Status ignore_clip(void *self, const ClipRow *row) { return (void)row, ++*(int *)self, status_ok(); }

static Status bench_explain(const BenchFarm *b)
{
    Ledger *l = NULL;
    int found = 0;
    char *id = text_format("customer-%07lld", (long long)b->size.rows / 2);
    TRY(ledger_open(b->folder, LEDGER_READ, &l));
    Status status = ledger_read_clips(l, id, (ClipSink){ignore_clip, &found});
    if (!failed(status) && found != 1) status = status_fail(ERR_FATAL, "explain: %s not found", id);
    ledger_close(&l);
    free(id);
    return status;
}

static Status bench_list(const BenchFarm *b)
{
    Ledger *l = NULL;
    char *file = path_join(b->folder, "delivery.csv");
    TRY(ledger_open(b->folder, LEDGER_READ, &l));
    Status status = deliver_write_list(l, file);
    ledger_close(&l);
    free(file);
    return status;
}

static Status bench_report(const BenchFarm *b)
{
    Ledger *l = NULL;
    TRY(ledger_open(b->folder, LEDGER_READ, &l));
    Status status = report_write(l, ledger_folder(l));
    ledger_close(&l);
    return status;
}

static Status bench_deliver(const BenchFarm *b)
{
    Ledger *l = NULL;
    Delivery done = {0};
    TRY(ledger_open(b->folder, LEDGER_WRITE, &l));
    Status status = ledger_begin_epoch(l, "bench", (int)getpid(), moment_wall_s());
    if (!failed(status)) status = deliver_clips(l, &(DeliverOptions){.host = "here"}, &done);
    if (!failed(status) && done.delivered != b->size.rows)
        status = status_fail(ERR_FATAL, "%lld clips delivered, expected %lld", (long long)done.delivered,
                             (long long)b->size.rows);
    ledger_close(&l);
    return status;
}

/* ---- running a stage ---- */

typedef Status FarmStage(const BenchFarm *b);
typedef struct {
    double wall_s, cpu_s, mb;
} Cost;

static Status bench_status(const BenchFarm *b, double *took_s)
{
    Ledger *l = NULL;
    Snapshot s = {0};
    double began_s = moment_s();
    TRY(ledger_open(b->folder, LEDGER_READ, &l));
    Status status = ledger_read_snapshot(l, &s);
    ledger_close(&l);
    *took_s = moment_s() - began_s;
    if (!failed(status) && s.clips != b->size.rows) status = status_fail(ERR_FATAL, "status: wrong number of clips");
    snapshot_clear(&s);
    return status;
}

/* In a child; meanwhile the status is asked for ten times a second when watch is true. */
static Status run_stage(const BenchFarm *b, FarmStage *stage, bool watch, Cost *cost)
{
    double began_s = moment_s(), took_s, longest_s = 0;
    int code = 0, asked = 0;
    struct rusage use;
    Status status = status_ok();
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        status = stage(b);
        if (failed(status)) fprintf(stderr, "bench_farm: %s\n", status.message);
        fflush(stdout);
        _exit(failed(status));
    }
    while (wait4(pid, &code, watch ? WNOHANG : 0, &use) == 0) {
        moment_sleep_ms(100);
        if (failed(status)) continue;
        status = bench_status(b, &took_s);
        if (took_s > longest_s) longest_s = took_s;
        asked++;
    }
    TRY(status);
    if (!WIFEXITED(code) || WEXITSTATUS(code) != 0) return status_fail(ERR_FATAL, "a stage failed");
    *cost = (Cost){moment_s() - began_s,
                   (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
                       (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6,
                   (double)use.ru_maxrss / 1e3};
    if (asked) printf("status       asked %d times meanwhile: at most %.0f ms\n", asked, longest_s * 1e3);
    if (longest_s * 1e3 > b->most_status_ms)
        return status_fail(ERR_FATAL, "status took %.0f ms, expected at most %d", longest_s * 1e3, b->most_status_ms);
    return status_ok();
}

static void print_cost(const char *name, Cost c)
{
    printf("%-12s %.1f s, of them %.1f s processor; at most %.0f MB of memory\n", name, c.wall_s, c.cpu_s, c.mb);
}

static Status check_plan(const BenchFarm *b, Cost c)
{
    if (c.cpu_s <= b->most_plan_s && c.mb <= b->most_plan_mb) return status_ok();
    return status_fail(ERR_FATAL, "plan: %.1f s and %.0f MB, expected at most %d s and %d MB", c.cpu_s, c.mb,
                       b->most_plan_s, b->most_plan_mb);
}

static Status run_stages(const BenchFarm *b)
{
    Cost c;
    double took_s;
    TRY(run_stage(b, bench_plan, false, &c));
    print_cost("plan", c);
    printf("             ledger.db %.0f MB\n", bench_file_mb(b->folder, "ledger.db"));
    TRY(check_plan(b, c));
    TRY(run_stage(b, bench_steer, true, &c));
    print_cost("             ", c);
    TRY(run_stage(b, bench_dispatch, true, &c));
    print_cost("             ", c);
    printf("             ledger.db %.0f MB, events.jsonl %.0f MB\n", bench_file_mb(b->folder, "ledger.db"),
           bench_file_mb(b->folder, "events.jsonl"));
    TRY(bench_status(b, &took_s));
    printf("status       of the finished campaign: %.0f ms\n", took_s * 1e3);
    TRY(run_stage(b, bench_explain, false, &c));
    print_cost("explain", c);
    TRY(run_stage(b, bench_list, true, &c));
    print_cost("list", c);
    TRY(run_stage(b, bench_report, false, &c));
    print_cost("report", c);
    if (!b->files) return status_ok();
    TRY(run_stage(b, bench_deliver, true, &c));
    print_cost("deliver", c);
    return status_ok();
}

/* ---- options ---- */

static Status read_options(BenchFarm *b, int argc, char **argv, int *first)
{
    const Option table[] = {
        {"rows", OPTION_INT, &b->rows, .value = "N", .min = 1, .max = 1e8, .help = "(1000000)"},
        {"share", OPTION_INT, &b->size.share, .value = "N", .min = 1, .max = 1e8, .help = "rows that share a shot (1)"},
        {"steps", OPTION_INT, &b->size.steps, .value = "N", .min = 1, .max = 1000,
         .help = "of a shot: so many progress messages (4)"},
        {"workers", OPTION_INT, &b->workers, .value = "N", .min = 1, .max = 100000, .help = "in process (1000)"},
        {"group", OPTION_INT, &b->group, .value = "T", .min = 1, .max = LEASE_MAX_RANKS,
         .help = "of them render each shot together (1)"},
        {"files", OPTION_FLAG, &b->files, .help = "write small clips, and deliver them"},
        {"mpi", OPTION_FLAG, &b->mpi, .help = "one rank of an MPI job"},
        {"step-ms", OPTION_INT, &b->step_ms, .value = "MS", .min = 0, .max = 1e6,
         .help = "over MPI: how long a step sleeps (20)"},
        {"finishers", OPTION_INT, &b->finishers, .value = "N", .min = 0, .max = 1000,
         .help = "over MPI: ranks that only finish, the others only render (0: all do both)"},
        {"finish-ms", OPTION_INT, &b->finish_ms, .value = "MS", .min = 1, .max = 1e6,
         .help = "over MPI: how long a finish sleeps (a step)"},
        {"least-rate", OPTION_INT, &b->least_rate, .value = "N", .min = 0, .max = 1e9,
         .help = "shots a second (20000)"},
        {"most-plan-s", OPTION_INT, &b->most_plan_s, .value = "S", .max = 1e6, .help = "(60)"},
        {"most-plan-mb", OPTION_INT, &b->most_plan_mb, .value = "MB", .max = 1e6, .help = "(1000)"},
        {"most-status-ms", OPTION_INT, &b->most_status_ms, .value = "MS", .max = 1e6, .help = "(1000)"},
        {"most-steer-ms", OPTION_INT, &b->most_steer_ms, .value = "MS", .max = 1e6,
         .help = "of processor, for one clip by a condition (1500)"},
        {"most-idle-percent", OPTION_INT, &b->most_idle_percent, .value = "P", .max = 1e6,
         .help = "of a core, for all ranks that wait (50)"},
        {"least-busy-percent", OPTION_INT, &b->least_busy_percent, .value = "P", .min = 0, .max = 100,
         .help = "of the time, for ranks that only render (97)"},
    };
    const Usage usage = {.verb = "bench_farm",
                         .arguments = "MODEL FOLDER [options]",
                         .about = "Plans a campaign in FOLDER, which is made, and dispatches it to simulated workers.",
                         .option = table,
                         .option_count = sizeof table / sizeof *table,
                         .min_arguments = 2,
                         .max_arguments = 2};
    return options_read(&usage, argc, argv, first);
}

Status bench_prepare(BenchFarm *b, const char *model, const char *folder)
{
    char *clips = path_join(folder, "clips");
    Status status = file_make_folders(clips);
    free(clips);
    TRY(status);
    b->folder = realpath(folder, NULL);
    if (!b->folder) return status_errno(ERR_INPUT, "%s", folder);
    b->size.rows = b->rows;
    TRY(bench_campaign_write(b->folder, model, b->size, &b->campaign));
    printf("%d rows, %d to a shot, %d steps, %d workers in groups of %d\n", b->rows, b->size.share, b->size.steps,
           b->workers, b->group);
    return status_ok();
}

static Status run(BenchFarm *b, int argc, char **argv)
{
    int first;
    TRY(read_options(b, argc, argv, &first));
    if (first < 0) return status_ok();
    if (b->mpi) return bench_mpi(b, argv[first], argv[first + 1]);
    TRY(bench_prepare(b, argv[first], argv[first + 1]));
    return run_stages(b);
}

int main(int argc, char **argv)
{
    BenchFarm b = {.rows = 1000000,
                   .size = {.share = 1, .steps = 4},
                   .workers = 1000,
                   .group = 1,
                   .step_ms = 20,
                   .least_rate = 20000,
                   .most_plan_s = 60,
                   .most_plan_mb = 1000,
                   .most_status_ms = 1000,
                   .most_steer_ms = 1500,
                   .most_idle_percent = 50,
                   .least_busy_percent = 97};
    log_set_level(LOG_ERROR);
    Status status = run(&b, argc, argv);
    if (failed(status)) fprintf(stderr, "bench_farm: %s\n", status.message);
    free(b.folder);
    free(b.campaign);
    return failed(status) ? 1 : 0;
}
