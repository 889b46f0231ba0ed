#include "run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clip.h"
#include "common/log.h"
#include "common/moment.h"
#include "common/options.h"
#include "common/plural.h"
#include "coordinator/deliver/keeper.h"
#include "coordinator/dispatch/coordinate.h"
#include "coordinator/launch/launch.h"
#include "coordinator/launch/machine.h"
#include "coordinator/launch/numa.h"
#include "coordinator/launch/run_inside.h"
#include "coordinator/ledger/claim.h"
#include "coordinator/watch/serve.h"

static Status read_options(RunOptions *o, int argc, char **argv, bool *help)
{
    const Option table[] = {
        {"out", OPTION_TEXT, &o->out, .value = "DIR", .required = true,
         .help = "the campaign's folder: ledger, clips, lists, report"},
        {"workers", OPTION_INT, &o->workers, .value = "N", .min = 1, .max = 100000,
         .help = "processes that render, on each host (one for every two cores; one a GPU with --backend cuda)"},
        {"finishers", OPTION_INT, &o->finishers, .value = "M", .min = 0, .max = 100000,
         .help = "processes beside them that make clips of what is rendered, while workers only render (0: workers "
                 "do both; with --backend cuda as many as its cores allow)"},
        {"group-size", OPTION_INT, &o->group_size, .value = "T", .min = 1, .max = LEASE_MAX_RANKS},
        {"split", OPTION_TEXT, &o->work.split, .value = "GxSxT",
         .help = "of them, so many render each shot together (1), and how they share it (`render --help`)"},
        {"hostfile", OPTION_TEXT, &o->hostfile, .value = "FILE",
         .help = "the hosts to use, \"NAME [slots=WORKERS]\" a line (Slurm's allocation, or this one)"},
        {"agent", OPTION_TEXT, &o->agent, .value = "COMMAND",
         .help = "what reaches a host of that file, called with the host and a command (ssh)"},
        {"threads", OPTION_INT, &o->work.threads, .value = "N", .min = 1, .max = 4096,
         .help = "of each worker (cores / workers)"},
        {"backend", OPTION_CHOICE, &o->work.backend, .value = WORK_BACKENDS,
         .help = "what computes (cuda where this machine has a GPU, else cpu)"},
        {"dtype", OPTION_CHOICE, &o->work.dtype, .value = WORK_DTYPES,
         .help = "and in which type (fp32; bf16 on cuda; fp8 on cuda, int8 on cpu: 8 bits for the blocks; int8 on "
                 "cuda: for attention)"},
        {"vae-dtype", OPTION_CHOICE, &o->work.vae_dtype, .value = "fp32|bf16",
         .help = "the autoencoder and the image encoder (fp32)"},
        {"step-limit", OPTION_INT, &o->step_limit_s, .value = "SECONDS", .min = 1, .max = 1e6,
         .help = "a worker without progress for so long is lost (20 times the longest step so far, at least 120)"},
        {"grace", OPTION_INT, &o->grace_s, .value = "SECONDS", .min = 1, .max = 1e6,
         .help = "how long a stop waits for checkpoints (100)"},
        {"wait", OPTION_INT, &o->wait_s, .value = "SECONDS", .min = -1, .max = 1e9,
         .help = "for a pilot's approval or a resume (-1: as long as it takes; 0 in a Slurm job)"},
        {"max-fails", OPTION_TEXT, &o->max_fails, .value = "N|P%",
         .help = "stop when more clips fail than that (what the campaign's max_fails says)"},
        {"deadline", OPTION_TEXT, &o->deadline, .value = "HH:MM",
         .help = "when it is due, or \"2026-01-31 06:00\" (the campaign's deadline)"},
        {"listen", OPTION_TEXT, &o->listen, .value = "PORT",
         .help = "show a status page and /metrics on 127.0.0.1:PORT; ADDRESS:PORT listens elsewhere"},
        {"part", OPTION_TEXT, &o->part_text, .value = "I/N",
         .help = "one of N parts, each a run of its own in DIR/parts; `merge` makes one campaign of them"},
        {"update", OPTION_FLAG, &o->update,
         .help = "take a changed table or campaign into DIR: what is new or other is made, all else stays (see check "
                 "--out)"},
        {"take-over", OPTION_FLAG, &o->take_over,
         .help = "go on although another run seems to use the folder; that one is fenced and ends"},
        {"quiet", OPTION_FLAG, &o->quiet, .help = "no progress, only warnings"},
    };
    const Usage usage = {
        .verb = "run",
        .arguments = "CAMPAIGN.yaml... --out DIR [options]",
        .about = "Renders a campaign: one clip per customer, with a delivery list and a report. Started alone it\n"
                 "launches mpirun itself; under mpirun rank 0 coordinates and the rest work. Run again, it resumes:\n"
                 "what is finished is not rendered again. SIGTERM, SIGUSR1 or Ctrl-C checkpoint and end it with 75.\n"
                 "Several campaigns take turns by their priority, with all workers, each in DIR/NAME of its file.",
        .option = table,
        .option_count = sizeof table / sizeof *table,
        .min_arguments = 1,
        .max_arguments = RUN_MOST_CAMPAIGNS};
    int first;
    TRY(options_read(&usage, argc, argv, &first));
    *help = first < 0;
    if (first < 0) return status_ok();
    o->campaign = argv + first;
    while (o->campaign[o->campaign_count]) o->campaign_count++;
    return status_ok();
}

/* ---- before anything starts ---- */

static Status check_split(const RunOptions *o)
{
    int n[3];
    char rest;
    if (!o->work.split) return status_ok();
    if (sscanf(o->work.split, "%4dx%4dx%4d%c", &n[0], &n[1], &n[2], &rest) == 3 && n[0] * n[1] * n[2] == o->group_size)
        return status_ok();
    return status_fail(ERR_INPUT,
                       "--split %.40s: expected GUIDANCExSEQUENCExTENSOR, with --group-size %d as their product",
                       o->work.split, o->group_size);
}

typedef struct {
    int index, workers; /* of this host's: which this rank is, negative for the coordinator; how many there are */
} Seat;

static Seat find_seat(void)
{
    const char *size = getenv("OMPI_COMM_WORLD_LOCAL_SIZE"), *local = getenv("OMPI_COMM_WORLD_LOCAL_RANK"),
               *rank = getenv("OMPI_COMM_WORLD_RANK");
    const bool coordinated =
        local && rank && strcmp(local, rank) == 0; /* ranks count up host by host: rank 0's is this one */
    const int ranks = size ? (int)strtol(size, NULL, 10) : 1, own = local ? (int)strtol(local, NULL, 10) : 0;
    return (Seat){own - coordinated, ranks - coordinated};
}

/* The ranks of a host share its cores, but for the coordinator, which sleeps. */
static int threads_of_a_rank(Seat p)
{
    const int cores = machine_cores();
    return p.workers > 0 && cores / p.workers > 0 ? cores / p.workers : 1;
}

/* ---- one rank of a job ---- */

/* Under somebody else's mpirun it prepares, claims and concludes itself. */
static Status coordinate_alone(const RunOptions *o, Link *link, CoordinateOptions *c, bool *clean)
{
    Campaign *campaign = NULL;
    Claim claim = {.lock = -1};
    Notify *notify = NULL;
    Keeper *keeper = NULL;
    Serve *serve = NULL;
    Status status = status_ok();
    if (o->campaign_count > 1)
        TRY_OUT(status_fail(ERR_INPUT,
                            "several campaigns under mpirun: start `reelwright run` by itself, it starts mpirun"));
    TRY_OUT(run_load(o, o->campaign[0], o->out, &campaign));
    TRY_OUT(run_begin(o, campaign, o->out, &claim));
    campaign_free(&campaign);
    c->launch = claim.launch;
    TRY_OUT(run_start_notify(o->out, &notify));
    TRY_OUT(keeper_start(o->out, &keeper));
    if (o->listen) TRY_OUT(serve_start(o->listen, &o->out, 1, &serve));
    if (serve) log_line(LOG_INFO, "status page: %s", serve_address(serve));
    status = coordinate(o->out, link, c, clean);
    keeper_stop(&keeper);
    status = run_conclude(o->out, &claim, status, o->quiet);
    serve_last_look(serve);
out:
    campaign_free(&campaign);
    keeper_stop(&keeper);
    notify_stop(&notify, RUN_NOTIFY_MS);
    serve_stop(&serve);
    claim_release(&claim);
    return status;
}

static Status run_coordinator(const RunOptions *o, Link *link, bool launched, bool *clean)
{
    CoordinateOptions c = {.step_limit_s = o->step_limit_s,
                           .grace_s = o->grace_s,
                           .wait_s = o->wait_s,
                           .launch = claim_inherited(),
                           .group_size = o->group_size,
                           .replace = launched,
                           .show = !launched,
                           .quiet = o->quiet};
    *clean = false;
    return launched ? coordinate(o->out, link, &c, clean) : coordinate_alone(o, link, &c, clean);
}

static Status run_rank(RunOptions *o, WorkerMain *worker)
{
    Link *link = NULL;
    bool clean = true, launched = launch_is_parent();
    const Seat seat = find_seat();
    if (o->work.threads == 0) o->work.threads = threads_of_a_rank(seat);
    if (o->work.backend == WORK_CPU && o->finishers <= 0) numa_bind(seat.index, seat.workers);
    TRY(link_open_mpi(&link));
    moment_catch_stops();
    const int finishers = o->finishers > 0 ? o->finishers : 0; /* the last ranks, of all hosts together */
    o->work.takes = finishers == 0                         ? 1 << LEASE_RENDER | 1 << LEASE_FINISH
                    : link->rank < link->count - finishers ? 1 << LEASE_RENDER
                                                           : 1 << LEASE_FINISH;
    Status status =
        link->count - finishers <= o->group_size
            ? status_fail(ERR_INPUT, "mpirun -n %d: expected at least %d ranks: a coordinator and a worker%s",
                          link->count, o->group_size + finishers + 1, o->group_size > 1 ? "s' group" : "")
        : link->rank == 0 ? run_coordinator(o, link, launched, &clean)
                          : worker(link, &o->work);
    if (status.err == ERR_STOP && launched) status = status_ok(); /* the launcher says so, once */
    if (status.err == ERR_FATAL && link->rank > 0) clean = false; /* without a coordinator nobody is left to wait for */
    if (clean) {
        link_close(&link);
        return status;
    }
    if (failed(status))
        log_status(status.err == ERR_STOP ? LOG_INFO : LOG_ERROR, status);
    else if (!launched && link->rank == 0)
        log_line(LOG_INFO,
                 "a worker was lost, so the job ends by MPI_Abort; what mpirun says of that now is no failure");
    link_abort(&link, status_exit_code(status));
    return status;
}

/* The part's folder takes the place of --out; it is to be freed. */
static Status choose_part(RunOptions *o, char **folder)
{
    if (!o->part_text) return status_ok();
    if (o->campaign_count > 1)
        return status_fail(ERR_INPUT, "--part: expected one campaign, not %d", o->campaign_count);
    TRY(part_parse(o->part_text, &o->part));
    o->whole = o->out;
    o->out = *folder = part_folder(o->whole, o->part);
    return status_ok();
}

/* Known before anything is written: a farm that finds out at its first lease has marked clips as failed by then. Other hosts may have what
 * this one lacks. */
static Status choose_backend(RunOptions *o)
{
    const bool alone = !link_under_launcher(), elsewhere = o->hostfile || getenv("SLURM_JOB_NODELIST");
    const int gpus = machine_gpus();
    const bool module = machine_has_cuda_module();
    if (o->work.backend == WORK_CUDA && !module)
        return status_fail(ERR_INPUT, "--backend cuda: this program was built without CUDA; build it where the CUDA "
                                      "toolkit is, or take --backend cpu");
    if (o->work.backend == WORK_CUDA && alone && !elsewhere && gpus == 0)
        return status_fail(ERR_INPUT,
                           "--backend cuda: no GPU here (no /dev/nvidia0, or CUDA_VISIBLE_DEVICES hides it); "
                           "--backend cpu renders on processors");
    if (o->work.backend >= 0) return status_ok();
    o->work.backend = gpus > 0 && module ? WORK_CUDA : WORK_CPU;
    if (alone && gpus > 0)
        log_line(LOG_INFO, "%d GPU%s here: %s", gpus, plural_s(gpus),
                 module ? "--backend cuda" : "--backend cpu all the same, for this program was built without CUDA");
    return status_ok();
}

Status run_verb(int argc, char **argv, WorkerMain *worker)
{
    RunOptions o = {.work.backend = -1,
                    .work.dtype = -1,
                    .finishers = -1,
                    .group_size = 1,
                    .grace_s = 100,
                    .wait_s = getenv("SLURM_JOB_ID") ? 0 : -1};
    char *part = NULL;
    bool help;
    TRY(read_options(&o, argc, argv, &help));
    if (help) return status_ok();
    TRY(choose_backend(&o));
    if (o.work.dtype < 0) o.work.dtype = work_default_dtype(o.work.backend);
    TRY(work_check_dtype(o.work.backend, o.work.dtype));
    TRY(check_split(&o));
    TRY(choose_part(&o, &part));
    if (o.quiet) log_set_level(LOG_WARNING);
    Status status = link_under_launcher() ? run_rank(&o, worker) : run_alone(&o);
    free(part);
    return status;
}
