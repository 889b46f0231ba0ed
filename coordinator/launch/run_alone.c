/* run_alone.c - `run` outside mpirun: one launcher for one campaign or for several, which take turns.
 *
 * Each campaign has its own folder, ledger and coordinator; one job works at a time, with all workers. Of those that are ready the
 * one of the highest priority goes first (turn.h). When another one becomes more important while a job works (it was resumed, its
 * pilot approved, its priority raised) the job is stopped at the next step, with checkpoints, and goes on later: that costs what
 * loading a model costs, and no finished step. A campaign that waits for a person does not hold up the others. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/log.h"
#include "common/moment.h"
#include "common/options.h"
#include "common/plural.h"
#include "common/shell.h"
#include "coordinator/deliver/conclude.h"
#include "coordinator/deliver/keeper.h"
#include "coordinator/deliver/requests.h"
#include "coordinator/launch/launch.h"
#include "coordinator/launch/machine.h"
#include "coordinator/launch/run_inside.h"
#include "coordinator/launch/turn.h"
#include "coordinator/watch/serve.h"

enum { CORES_PER_WORKER = 2, CORES_PER_GPU = 2, CORES_PER_FINISHER = 4, LOOK_MS = 1000, IDLE_MS = 500 };

typedef struct {
    const char *campaign; /* file */
    char *folder;
    Campaign *loaded; /* until its plan is in the ledger */
    Claim claim;      /* lock -1: not taken */
    Notify *notify;
    Keeper *keeper;
    bool
        mended; /* the job was started again once for lost files; a disk that loses files would lose the next ones too */
    bool over;  /* concluded, with this: */
    ErrClass end;
    char *message;
} OneRun;

typedef struct {
    const RunOptions *options;
    Hosts hosts;
    OneRun run[RUN_MOST_CAMPAIGNS];
    Turn turn[RUN_MOST_CAMPAIGNS];
    int count, working; /* working: whose job goes on */
    int64_t looked_ms, idle_ms;
} AllRuns;

/* ---- before anything starts ---- */

/* One campaign has DIR to itself; of several each has DIR/NAME, after its file. */
static char *folder_of(const RunOptions *o, const char *campaign)
{
    if (o->campaign_count == 1) return text_copy(o->out);
    const char *name = path_name(campaign), *dot = strrchr(name, '.');
    char *stem = text_format("%.*s", dot && dot > name ? (int)(dot - name) : (int)strlen(name), name);
    char *folder = path_join(o->out, stem);
    free(stem);
    return folder;
}

static Status name_runs(AllRuns *all)
{
    const RunOptions *o = all->options;
    for (all->count = 0; all->count < o->campaign_count; all->count++) {
        OneRun *run = &all->run[all->count];
        *run = (OneRun){
            .campaign = o->campaign[all->count], .folder = folder_of(o, o->campaign[all->count]), .claim.lock = -1};
        for (int i = 0; i < all->count; i++)
            if (strcmp(all->run[i].folder, run->folder) == 0) {
                all->count++;
                return status_fail(ERR_INPUT,
                                   "%s and %s: expected files of different names, each has a folder of that name",
                                   all->run[i].campaign, run->campaign);
            }
    }
    return status_ok();
}

static Status open_runs(AllRuns *all)
{
    const RunOptions *o = all->options;
    char *ledger = path_join(o->out, "ledger.db");
    bool taken = o->campaign_count > 1 && file_exists(ledger);
    free(ledger);
    if (taken)
        return status_fail(
            ERR_INPUT, "%s: holds one campaign; expected a folder for several, each in a folder of its own", o->out);
    for (int i = 0; i < all->count; i++)
        TRY(run_load(o, all->run[i].campaign, all->run[i].folder, &all->run[i].loaded));
    for (int i = 0; i < all->count; i++) TRY(run_begin(o, all->run[i].loaded, all->run[i].folder, &all->run[i].claim));
    for (int i = 0; i < all->count; i++) campaign_free(&all->run[i].loaded);
    for (int i = 0; i < all->count; i++) TRY(run_start_notify(all->run[i].folder, &all->run[i].notify));
    for (int i = 0; i < all->count; i++) TRY(keeper_start(all->run[i].folder, &all->run[i].keeper));
    return status_ok();
}

static void close_runs(AllRuns *all)
{
    for (int i = 0; i < all->count; i++) {
        campaign_free(&all->run[i].loaded);
        keeper_stop(&all->run[i].keeper);
        notify_stop(&all->run[i].notify, RUN_NOTIFY_MS);
        if (all->run[i].claim.lock >= 0) claim_release(&all->run[i].claim);
        free(all->run[i].folder);
        free(all->run[i].message);
    }
}

static Status listen_for_all(const AllRuns *all, Serve **out)
{
    const char *folder[RUN_MOST_CAMPAIGNS];
    for (int i = 0; i < all->count; i++) folder[i] = all->run[i].folder;
    TRY(serve_start(all->options->listen, folder, all->count, out));
    log_line(LOG_INFO, "status page: %s", serve_address(*out));
    return status_ok();
}

/* ---- turns ---- */

static Status look_at(const OneRun *run, Turn *turn)
{
    Ledger *l = NULL;
    Snapshot s;
    TRY(ledger_open(run->folder, LEDGER_READ, &l));
    Status status = ledger_read_snapshot(l, &s);
    ledger_close(&l);
    TRY(status);
    *turn = turn_of(&s);
    snapshot_clear(&s);
    return status_ok();
}

/* Writes lists, report and the last event, and keeps how the campaign ended. */
static void conclude_run(AllRuns *all, int index, Status how)
{
    OneRun *run = &all->run[index];
    keeper_stop(&run->keeper);
    how = run_conclude(run->folder, &run->claim, how, all->options->quiet);
    run->over = true;
    run->end = how.err;
    run->message = all->count > 1 ? text_format("%s: %s", run->folder, how.message) : text_copy(how.message);
    if (failed(how) && all->count > 1) log_line(LOG_WARNING, "%s", run->message);
}

/* Takes up requests and looks how far each campaign is. The one whose job goes on takes up its own requests. */
static Status look_at_all(AllRuns *all)
{
    for (int i = 0; i < all->count; i++) {
        OneRun *run = &all->run[i];
        Status status = status_ok();
        if (!run->over && i != all->working) status = requests_take(run->folder, run->claim.launch);
        if (!run->over && !failed(status)) status = look_at(run, &all->turn[i]);
        if (run->over) all->turn[i].state = TURN_OVER;
        if (!failed(status)) continue;
        if (all->count == 1 || i == all->working) return status;
        all->turn[i].state = TURN_OVER; /* the others go on */
        conclude_run(all, i, status_fail(ERR_FATAL, "%s", status.message));
    }
    return status_ok();
}

static bool must_yield(void *self)
{
    AllRuns *all = self;
    if (moment_ms() - all->looked_ms < LOOK_MS) return false;
    all->looked_ms = moment_ms();
    Status status = look_at_all(all);
    if (failed(status)) log_line(LOG_WARNING, "%s", status.message); /* the job goes on all the same */
    return !failed(status) && turn_must_yield(all->turn, all->count, all->working);
}

/* A job that waits for a person ends at once when another campaign is left that could work. */
static int wait_of(const AllRuns *all, int index)
{
    for (int i = 0; i < all->count; i++)
        if (i != index && !all->run[i].over) return 0;
    return all->options->wait_s;
}

static Status launch(AllRuns *all, int index, bool *yielded)
{
    const RunOptions *o = all->options;
    const OneRun *run = &all->run[index];
    char threads[16], backend[OPTIONS_CHOICE_BYTES], dtype[OPTIONS_CHOICE_BYTES], limit[16], grace[16], wait[16],
        group[16], *folder = realpath(run->folder, NULL);
    snprintf(threads, sizeof threads, "%d", o->work.threads);
    options_choice(WORK_BACKENDS, o->work.backend, backend);
    options_choice(WORK_DTYPES, o->work.dtype, dtype);
    snprintf(limit, sizeof limit, "%d", o->step_limit_s);
    snprintf(grace, sizeof grace, "%d", o->grace_s);
    snprintf(wait, sizeof wait, "%d", wait_of(all, index));
    snprintf(group, sizeof group, "%d", o->group_size);
    const char *arguments[26] = {"run",     run->campaign, "--out",   folder, "--backend", backend,
                                 "--dtype", dtype,         "--grace", grace,  "--wait",    wait};
    int n = 12;
    if (o->step_limit_s) arguments[n++] = "--step-limit", arguments[n++] = limit;
    if (o->group_size > 1) arguments[n++] = "--group-size", arguments[n++] = group;
    if (o->work.vae_dtype) arguments[n++] = "--vae-dtype", arguments[n++] = "bf16";
    if (o->work.split) arguments[n++] = "--split", arguments[n++] = o->work.split;
    if (o->work.threads) arguments[n++] = "--threads", arguments[n++] = threads; /* else each host's cores decide */
    LaunchOptions launch_options = {.folder = folder,
                                    .claim = &run->claim,
                                    .hosts = &all->hosts,
                                    .workers = o->workers,
                                    .finishers = o->finishers,
                                    .arguments = (char *const *)(uintptr_t)arguments,
                                    .grace_s = o->grace_s,
                                    .quiet = o->quiet,
                                    .must_yield = all->count > 1 ? must_yield : NULL,
                                    .self = all};
    *yielded = false;
    all->working = index;
    Status status = folder ? launch_campaign(&launch_options, yielded) : status_errno(ERR_FATAL, "%s", run->folder);
    all->working = -1;
    free(folder);
    return status;
}

/* All clips are made, but files of some may be gone or damaged by now: then those are made again in this run. */
static bool has_lost_files(AllRuns *all, int index)
{
    OneRun *run = &all->run[index];
    int64_t lost = 0;
    if (run->mended || failed(claim_check(run->folder, &run->claim))) return false;
    if (failed(conclude_files(run->folder, run->claim.launch, &lost)) || lost == 0) return false;
    run->mended = true;
    log_line(LOG_WARNING, "%s: files of %lld clip%s are missing or damaged; they are made again", run->folder,
             (long long)lost, plural_s(lost));
    return true;
}

static Status take_turn(AllRuns *all, int index)
{
    bool yielded;
    Turn after = all->turn[index];
    if (all->count > 1)
        log_line(LOG_INFO, "%s: its turn, priority %d", all->run[index].folder, all->turn[index].priority);
    Status status = launch(all, index, &yielded);
    if (yielded || moment_stops() > 0) return status_ok();
    if (status.err == ERR_FATAL && all->count > 1) {
        char *why = text_copy(status.message);
        Status looked = look_at(&all->run[index], &after);
        status = status_fail(ERR_FATAL, "%s", why);
        free(why);
        if (!failed(looked) && after.state == TURN_WAITS) return status_ok(); /* the others first */
    }
    if (!failed(status) && has_lost_files(all, index)) return status_ok();
    conclude_run(all, index, status);
    return status_ok();
}

/* No campaign is ready. Waits a moment and returns true, as long as one may become ready by a decision of a person. */
static bool wait_for_word(AllRuns *all)
{
    bool any = false;
    for (int i = 0; i < all->count; i++) any = any || (!all->run[i].over && all->turn[i].state == TURN_WAITS);
    if (!any) return false;
    if (all->idle_ms == 0) {
        all->idle_ms = moment_ms();
        log_line(LOG_INFO, "every campaign that is left waits for a person: see `reelwright status`");
    }
    if (all->options->wait_s >= 0 && moment_ms() - all->idle_ms >= (int64_t)all->options->wait_s * 1000) return false;
    moment_sleep_ms(IDLE_MS);
    return true;
}

static Status take_turns(AllRuns *all)
{
    while (moment_stops() == 0) {
        TRY(look_at_all(all));
        int next = turn_next(all->turn, all->count);
        if (all->count == 1 && !all->run[0].over)
            next = 0; /* alone it may wait in its job, or find that it is complete */
        if (next >= 0) {
            all->idle_ms = 0;
            TRY(take_turn(all, next));
        } else if (!wait_for_word(all)) {
            break;
        }
    }
    return status_ok();
}

/* Concludes campaigns that were begun and are not complete: stopped, cancelled, or waiting for longer than --wait allows. */
static void conclude_rest(AllRuns *all, Status so_far)
{
    char *why = text_copy(so_far.message);
    for (int i = 0; i < all->count; i++) {
        if (all->run[i].over) continue;
        Status how = failed(so_far)       ? status_fail(so_far.err, "%s", why)
                     : moment_stops() > 0 ? status_fail(ERR_STOP, "run the same command again to go on")
                     : all->turn[i].state == TURN_WAITS
                         ? status_fail(ERR_FATAL, "it waits for somebody's word; run it again after that")
                         : status_ok();
        Snapshot s;
        Ledger *l = NULL;
        bool cancelled = false;
        if (!failed(how) && !failed(ledger_open(all->run[i].folder, LEDGER_READ, &l)) &&
            !failed(ledger_read_snapshot(l, &s))) {
            cancelled = s.left > 0;
            snapshot_clear(&s);
        }
        ledger_close(&l);
        if (cancelled)
            how = shell_advise(ERR_STOP, "the campaign is cancelled; `%s`, then run, goes on", "resume",
                               all->run[i].folder);
        conclude_run(all, i, how);
    }
    free(why);
}

/* The gravest end of all campaigns: the farm could not go on, then a stop, then failed clips. */
static Status end_of_all(const AllRuns *all)
{
    static const int gravity[] = {
        [OK] = 0, [ERR_CLIP] = 1, [ERR_STOP] = 2, [ERR_RETRY] = 3, [ERR_NODE] = 3, [ERR_FATAL] = 3, [ERR_INPUT] = 3};
    int worst = 0;
    for (int i = 1; i < all->count; i++)
        if (gravity[all->run[i].end] > gravity[all->run[worst].end]) worst = i;
    if (all->run[worst].end == OK) return status_ok();
    return status_fail(all->run[worst].end, "%s", all->run[worst].message);
}

/* On each host: one worker a GPU, else one for every few cores; of a single host at least a group. */
static int default_workers(const RunOptions *o)
{
    const int units = o->work.backend == WORK_CUDA ? machine_gpus() : machine_cores() / CORES_PER_WORKER,
              least = o->hostfile ? 1 : o->group_size;
    return units > least ? units : least;
}

/* On each host. Without GPUs none: workers compute on all cores. With GPUs each worker keeps CORES_PER_GPU cores, and there is one
 * finisher for every CORES_PER_FINISHER of the rest: it encodes a clip's renditions at once, each in a thread. */
static int default_finishers(const RunOptions *o)
{
    if (o->work.backend != WORK_CUDA) return 0;
    const int rest = (machine_cores() - CORES_PER_GPU * o->workers) / CORES_PER_FINISHER;
    return rest > 0 ? rest : 1;
}

/* The ranks of a group exchange tensors all the time, so a group must lie on one host or fill whole hosts. */
static Status check_groups(const RunOptions *o, const Hosts *hosts)
{
    if (!o->hostfile && o->workers < o->group_size) /* more, and some wait to take the place of one that dies */
        return status_fail(ERR_INPUT, "--workers %d: expected at least as many as --group-size %d, or no --workers",
                           o->workers, o->group_size);
    for (int i = 0; i < hosts->count && hosts->count > 1; i++) {
        const Host *h = &hosts->host[i];
        const int workers = h->slots > 0 ? h->slots : o->workers;
        if (workers % o->group_size != 0 && o->group_size % workers != 0)
            return status_fail(
                ERR_INPUT,
                "host %s: %d worker%s, expected a multiple of --group-size %d (or a part of it): a group does "
                "not straddle hosts; see --workers, and slots= of the host file",
                h->name, workers, plural_s(workers), o->group_size);
    }
    return status_ok();
}

Status run_alone(RunOptions *o)
{
    AllRuns all = {.options = o, .working = -1};
    Serve *serve = NULL;
    Status status = status_ok();
    if (o->workers == 0) o->workers = default_workers(o);
    if (o->finishers < 0) o->finishers = default_finishers(o);
    TRY_OUT(hosts_open(o->hostfile, o->agent, &all.hosts));
    TRY_OUT(check_groups(o, &all.hosts));
    TRY_OUT(name_runs(&all));
    if (o->listen)
        TRY_OUT(listen_for_all(&all, &serve)); /* an address that is taken is known before anything is written */
    TRY_OUT(open_runs(&all));
    moment_catch_stops();
    signal(SIGHUP, SIG_IGN); /* a terminal that closes ends no night; mpirun and the ranks inherit it */
    conclude_rest(&all, take_turns(&all));
    status = end_of_all(&all);
    serve_last_look(serve);
out:
    serve_stop(&serve);
    close_runs(&all);
    hosts_clear(&all.hosts);
    return status;
}
