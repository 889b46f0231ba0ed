#include "run.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "common/moment.h"
#include "common/options.h"
#include "common/provoke.h"
#include "coordinator/claim.h"
#include "coordinator/conclude.h"
#include "coordinator/coordinate.h"
#include "coordinator/launch.h"
#include "coordinator/ledger_launch.h"
#include "coordinator/ledger_read.h"
#include "coordinator/notify.h"

enum { LEAST_FREE_BYTES = 16 << 20, CORES_PER_WORKER = 2, NOTIFY_MS = 30000 /* for the last events, at the end */ };

typedef struct {
    const char *campaign, *out, *hostfile, *agent;
    const char *max_fails; /* NULL: as the campaign says */
    int workers, group_size, step_limit_s, grace_s, wait_s;
    WorkSettings work;
    bool quiet, take_over;
} RunOptions;

static Status read_options(RunOptions *o, int argc, char **argv, bool *help)
{
    const Option table[] = {
        {.name = "out",
         .kind = OPTION_TEXT,
         .to = &o->out,
         .value = "DIR",
         .required = true,
         .help = "the campaign's folder: ledger, clips, lists, report"},
        {.name = "workers",
         .kind = OPTION_INT,
         .to = &o->workers,
         .value = "N",
         .min = 1,
         .max = 100000,
         .help = "processes that render, on each host (by cores: one for every two, at least 1)"},
        {.name = "group-size",
         .kind = OPTION_INT,
         .to = &o->group_size,
         .value = "T",
         .min = 1,
         .max = LEASE_MAX_RANKS},
        {.name = "split",
         .kind = OPTION_TEXT,
         .to = &o->work.split,
         .value = "GxSxT",
         .help = "of them, so many render each shot together (1), and how they share it (`render --help`)"},
        {.name = "hostfile",
         .kind = OPTION_TEXT,
         .to = &o->hostfile,
         .value = "FILE",
         .help = "the hosts to use, \"NAME [slots=WORKERS]\" a line (Slurm's allocation, or this one)"},
        {.name = "agent",
         .kind = OPTION_TEXT,
         .to = &o->agent,
         .value = "COMMAND",
         .help = "what reaches a host of that file, called with the host and a command (ssh)"},
        {.name = "threads",
         .kind = OPTION_INT,
         .to = &o->work.threads,
         .value = "N",
         .min = 1,
         .max = 4096,
         .help = "of each worker (cores / workers)"},
        {.name = "backend", .kind = OPTION_CHOICE, .to = &o->work.backend, .value = "cpu|cuda|ref"},
        {.name = "dtype",
         .kind = OPTION_CHOICE,
         .to = &o->work.dtype,
         .value = "fp32|bf16",
         .help = "what computes, and in which type"},
        {.name = "step-limit",
         .kind = OPTION_INT,
         .to = &o->step_limit_s,
         .value = "SECONDS",
         .min = 1,
         .max = 1e6,
         .help = "a worker without progress for so long is lost (20 times the longest step so far, at least 120)"},
        {.name = "grace",
         .kind = OPTION_INT,
         .to = &o->grace_s,
         .value = "SECONDS",
         .min = 1,
         .max = 1e6,
         .help = "how long a stop waits for checkpoints (100)"},
        {.name = "wait",
         .kind = OPTION_INT,
         .to = &o->wait_s,
         .value = "SECONDS",
         .min = -1,
         .max = 1e9,
         .help = "for a pilot's approval or a resume (-1: as long as it takes; 0 in a Slurm job)"},
        {.name = "max-fails",
         .kind = OPTION_TEXT,
         .to = &o->max_fails,
         .value = "N|P%",
         .help = "stop when more clips fail than that (what the campaign's max_fails says)"},
        {.name = "take-over",
         .kind = OPTION_FLAG,
         .to = &o->take_over,
         .help = "go on although another run seems to use the folder; that one is fenced and ends"},
        {.name = "quiet", .kind = OPTION_FLAG, .to = &o->quiet, .help = "no progress, only warnings"},
    };
    const Usage usage = {
        .verb = "run",
        .arguments = "CAMPAIGN.yaml --out DIR [options]",
        .about = "Renders a campaign: one clip per customer, with a delivery list and a report. Started alone it\n"
                 "launches mpirun itself; under mpirun rank 0 coordinates and the rest work. Run again, it\n"
                 "resumes: what is finished is not rendered again. SIGTERM, SIGUSR1 or Ctrl-C checkpoint and\n"
                 "end it with 75.",
        .option = table,
        .option_count = sizeof table / sizeof *table,
        .min_arguments = 1,
        .max_arguments = 1};
    int first;
    TRY(options_read(&usage, argc, argv, &first));
    *help = first < 0;
    if (first >= 0) o->campaign = argv[first];
    return status_ok();
}

/* ---- before anything starts ---- */

/* A ledger of another campaign must be recognised before anything is written, so it is opened for reading first. */
static Status check_folder(const char *folder)
{
    char *ledger = path_join(folder, "ledger.db");
    Status status = status_ok();
    if (file_exists(folder) && !file_is_folder(folder))
        status = status_fail(ERR_INPUT, "%s: expected a folder", folder);
    else if (file_exists(ledger)) {
        Ledger *l = NULL;
        status = ledger_open(folder, LEDGER_READ, &l);
        ledger_close(&l);
    }
    free(ledger);
    return status;
}

/* The plan goes into the ledger, or is found there. What fails here is the user's to mend: nothing was started. */
static Status prepare(const RunOptions *o)
{
    Campaign *c = NULL;
    Ledger *l = NULL;
    Status status = status_ok();
    TRY_OUT(campaign_load(o->campaign, &c));
    if (o->max_fails && !max_fails_parse(o->max_fails, &c->settings.max_fails))
        TRY_OUT(status_fail(ERR_INPUT, "--max-fails %.40s: expected a number of clips, 20, or a share of them, 5%%",
                            o->max_fails));
    TRY_OUT(check_folder(o->out));
    TRY_OUT(file_make_folders(o->out));
    TRY_OUT(file_check_space(o->out, LEAST_FREE_BYTES));
    TRY_OUT(ledger_open(o->out, LEDGER_WRITE, &l));
    TRY_OUT(ledger_adopt(l, c, moment_wall_s()));
out:
    ledger_close(&l);
    campaign_free(&c);
    if (status.err == ERR_FATAL || status.err == ERR_NODE) status.err = ERR_INPUT;
    return status;
}

/* Requests that came while no run went on. The lock is held. */
static Status take_requests(const char *folder, int64_t launch)
{
    Ledger *l = NULL;
    LedgerRequest r = {0};
    int64_t changed = 0;
    char host[64] = "";
    Status status = status_ok();
    gethostname(host, sizeof host - 1);
    TRY_OUT(ledger_open(folder, LEDGER_WRITE, &l));
    ledger_join_launch(l, launch);
    TRY_OUT(ledger_next_request(l, &r));
    if (r.id == 0) goto out;
    TRY_OUT(ledger_begin_epoch(l, host, (int)getpid(), moment_wall_s()));
    TRY_OUT(ledger_begin(l, moment_wall_s()));
    while (r.id) {
        TRY_OUT(ledger_apply_request(l, &r, &changed));
        ledger_request_clear(&r);
        TRY_OUT(ledger_next_request(l, &r));
    }
    TRY_OUT(ledger_commit(l));
    TRY_OUT(ledger_end_epoch(l, "requests", moment_wall_s()));
out:
    ledger_request_clear(&r);
    ledger_close(&l);
    return status;
}

static Status start_notify(const char *folder, Notify **out)
{
    Ledger *l = NULL;
    Settings settings = {0};
    *out = NULL;
    TRY(ledger_open(folder, LEDGER_READ, &l));
    Status status = ledger_read_settings(l, &settings);
    ledger_close(&l);
    if (!failed(status)) status = notify_start(folder, &settings.notify, out);
    settings_clear(&settings);
    return status;
}

static int count_cores(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : (int)sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? n : 1;
}

/* The ranks of a host share its cores, but for the coordinator, which sleeps. */
static int threads_of_a_rank(void)
{
    const char *size = getenv("OMPI_COMM_WORLD_LOCAL_SIZE"), *local = getenv("OMPI_COMM_WORLD_LOCAL_RANK"),
               *rank = getenv("OMPI_COMM_WORLD_RANK");
    bool coordinated =
        local && rank && strcmp(local, rank) == 0; /* ranks count up host by host: rank 0's is this one */
    int ranks = size ? (int)strtol(size, NULL, 10) : 1, workers = ranks - (coordinated ? 1 : 0), cores = count_cores();
    return workers > 0 && cores / workers > 0 ? cores / workers : 1;
}

/* ---- alone: the launcher ---- */

static Status launch(const RunOptions *o, Hosts *hosts, const Claim *claim)
{
    char threads[16], backend[8], dtype[8], limit[16], grace[16], wait[16], group[16], *folder = realpath(o->out, NULL);
    snprintf(threads, sizeof threads, "%d", o->work.threads);
    snprintf(backend, sizeof backend, "%s", (const char *[]){"cpu", "cuda", "ref"}[o->work.backend]);
    snprintf(dtype, sizeof dtype, "%s", (const char *[]){"fp32", "bf16"}[o->work.dtype]);
    snprintf(limit, sizeof limit, "%d", o->step_limit_s);
    snprintf(grace, sizeof grace, "%d", o->grace_s);
    snprintf(wait, sizeof wait, "%d", o->wait_s);
    snprintf(group, sizeof group, "%d", o->group_size);
    const char *arguments[24] = {"run",     o->campaign, "--out",   folder, "--backend", backend,
                                 "--dtype", dtype,       "--grace", grace,  "--wait",    wait};
    int n = 12;
    if (o->step_limit_s) arguments[n++] = "--step-limit", arguments[n++] = limit;
    if (o->group_size > 1) arguments[n++] = "--group-size", arguments[n++] = group;
    if (o->work.split) arguments[n++] = "--split", arguments[n++] = o->work.split;
    if (o->work.threads) arguments[n++] = "--threads", arguments[n++] = threads; /* else each host's cores decide */
    LaunchOptions launch_options = {.folder = folder,
                                    .claim = claim,
                                    .hosts = hosts,
                                    .workers = o->workers,
                                    .arguments = (char *const *)(uintptr_t)arguments,
                                    .grace_s = o->grace_s,
                                    .quiet = o->quiet};
    Status status = folder ? launch_campaign(&launch_options) : status_errno(ERR_FATAL, "%s", o->out);
    free(folder);
    return status;
}

static Status run_alone(RunOptions *o)
{
    Claim claim = {.lock = -1};
    Hosts hosts = {0};
    Notify *notify = NULL;
    Status status = status_ok();
    int cores = count_cores();
    if (o->workers == 0) o->workers = cores / CORES_PER_WORKER > 0 ? cores / CORES_PER_WORKER : 1;
    if (o->workers < o->group_size && !o->hostfile) o->workers = o->group_size;
    TRY_OUT(hosts_open(o->hostfile, o->agent, &hosts));
    TRY_OUT(prepare(o));
    TRY_OUT(claim_take(o->out, o->take_over, &claim));
    moment_catch_stops();
    TRY_OUT(start_notify(o->out, &notify));
    status = take_requests(o->out, claim.launch);
    if (!failed(status)) status = launch(o, &hosts, &claim);
    if (claim_holds(o->out, &claim)) status = conclude(o->out, status, o->quiet);
    notify_stop(&notify, NOTIFY_MS);
out:
    claim_release(&claim);
    hosts_clear(&hosts);
    return status;
}

/* ---- one rank of a job ---- */

/* Under somebody else's mpirun it prepares, claims and concludes itself. */
static Status coordinate_alone(const RunOptions *o, Link *link, const CoordinateOptions *c, bool *clean)
{
    Claim claim = {.lock = -1};
    Notify *notify = NULL;
    Status status = status_ok();
    TRY_OUT(prepare(o));
    TRY_OUT(claim_take(o->out, o->take_over, &claim));
    TRY_OUT(claim_export(&claim));
    TRY_OUT(start_notify(o->out, &notify));
    status = coordinate(o->out, link, c, clean);
    if (claim_holds(o->out, &claim)) status = conclude(o->out, status, o->quiet);
    notify_stop(&notify, NOTIFY_MS);
out:
    claim_release(&claim);
    return status;
}

static Status run_coordinator(const RunOptions *o, Link *link, bool launched, bool *clean)
{
    CoordinateOptions c = {.step_limit_s = o->step_limit_s,
                           .grace_s = o->grace_s,
                           .wait_s = o->wait_s,
                           .group_size = o->group_size,
                           .show = !launched,
                           .quiet = o->quiet};
    *clean = false;
    return launched ? coordinate(o->out, link, &c, clean) : coordinate_alone(o, link, &c, clean);
}

static Status run_rank(RunOptions *o, WorkerMain *worker)
{
    Link *link = NULL;
    bool clean = true, launched = launch_is_parent();
    if (o->work.threads == 0) o->work.threads = threads_of_a_rank();
    TRY(link_open_mpi(&link));
    moment_catch_stops();
    provoke_set_rank(link->rank);
    Status status =
        link->count <= o->group_size
            ? status_fail(ERR_INPUT, "mpirun -n %d: expected at least %d ranks: a coordinator and a worker%s",
                          link->count, o->group_size + 1, o->group_size > 1 ? "s' group" : "")
        : link->rank == 0 ? run_coordinator(o, link, launched, &clean)
                          : worker(link, &o->work);
    if (status.err == ERR_STOP && launched) status = status_ok(); /* the launcher says so, once */
    if (status.err == ERR_FATAL && link->rank > 0) clean = false; /* without a coordinator nobody is left to wait for */
    if (clean) {
        link_close(&link);
        return status;
    }
    if (failed(status)) log_line(status.err == ERR_STOP ? LOG_INFO : LOG_ERROR, "%s", status.message);
    link_abort(&link, status_exit_code(status));
    return status;
}

Status run_verb(int argc, char **argv, WorkerMain *worker)
{
    RunOptions o = {.group_size = 1, .grace_s = 100, .wait_s = getenv("SLURM_JOB_ID") ? 0 : -1};
    bool help;
    TRY(read_options(&o, argc, argv, &help));
    if (help) return status_ok();
    if (o.quiet) log_set_level(LOG_WARNING);
    return link_under_launcher() ? run_rank(&o, worker) : run_alone(&o);
}
