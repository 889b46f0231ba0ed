/* submit.c - `submit`: a campaign is checked here and now, and rendered by Slurm when there is room. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/file.h"
#include "common/foreign.h"
#include "common/log.h"
#include "common/moment.h"
#include "common/plural.h"
#include "common/shell.h"
#include "coordinator/campaign/campaign.h"
#include "coordinator/launch/batch.h"
#include "coordinator/launch/folder.h"
#include "coordinator/ledger/view.h"
#include "coordinator/plan/estimate.h"
#include "coordinator/verbs/verbs.h"

enum { DEFAULT_MINUTES = 480, LEAST_MINUTES = 5, MOST_NODES = 10000, MOST_PARTS = 1000, MOST_RUN_OPTIONS = 60 };

typedef struct {
    const char *campaign, *out, *deadline;
    const char *nodes, *record; /* "auto": as many as the deadline needs, by this record of measured times */
    int minutes;                /* 0: until the deadline */
    bool dry_run;
    Batch batch;
} SubmitOptions;

static Status read_options(SubmitOptions *o, int argc, char **argv, bool *help)
{
    Batch *b = &o->batch;
    const Option table[] = {
        {"out", OPTION_TEXT, &o->out, .value = "DIR", .required = true,
         .help = "the campaign's folder, on a file system that every node sees"},
        {"nodes", OPTION_TEXT, &o->nodes, .value = "N|auto",
         .help = "whole nodes of the job, or of each part's (1); auto: as many as the deadline needs"},
        {"record", OPTION_TEXT, &o->record, .value = "FILE|DIR",
         .help = "measured times, as `plan` takes them: says when it will be done, and the report compares"},
        {"deadline", OPTION_TEXT, &o->deadline, .value = "HH:MM",
         .help = "the job ends by then and is not requeued after it (the campaign's)"},
        {"time", OPTION_INT, &o->minutes, .value = "MINUTES", .min = LEAST_MINUTES, .max = 100000,
         .help = "time limit of one attempt (until the deadline, or 480)"},
        {"parts", OPTION_INT, &b->parts, .value = "N", .min = 1, .max = MOST_PARTS,
         .help = "so many jobs with a part of the campaign each, and one that merges them (1)"},
        {"partition", OPTION_TEXT, &b->partition, .value = "NAME"},
        {"account", OPTION_TEXT, &b->account, .value = "NAME"},
        {"qos", OPTION_TEXT, &b->qos, .value = "NAME", .help = "of Slurm"},
        {"sbatch", OPTION_TEXTS, &b->sbatch, .value = "OPTION",
         .help = "a further option of sbatch: --sbatch=--constraint=h100; again for more"},
        {"dry-run", OPTION_FLAG, &o->dry_run, .help = "prints the script and submits nothing"},
    };
    const Usage usage = {
        .verb = "submit",
        .arguments = "CAMPAIGN.yaml --out DIR [options] [-- options of `run`]",
        .about = "Checks a campaign as `check` does, fills in slurm/campaign.sbatch, submits it, and says what it\n"
                 "submitted. The job stops in order when it is preempted or its time is over, is requeued and goes on.",
        .option = table,
        .option_count = sizeof table / sizeof *table,
        .min_arguments = 1,
        .max_arguments = MOST_RUN_OPTIONS};
    int first;
    TRY(options_read(&usage, argc, argv, &first));
    *help = first < 0;
    if (first < 0) return status_ok();
    o->campaign = argv[first];
    b->run_options = argv + first + 1;
    return status_ok();
}

/* ---- before anything is submitted ---- */

static Status read_nodes(SubmitOptions *o)
{
    char *end = NULL;
    const long nodes = o->nodes ? strtol(o->nodes, &end, 10) : 1;
    const bool is_auto = o->nodes && strcmp(o->nodes, "auto") == 0;
    if (is_auto && !o->record)
        return status_fail(ERR_INPUT,
                           "--nodes auto: expected --record FILE, too; `reelwright bench %s` makes one on a node",
                           o->campaign);
    if (!is_auto && o->nodes && (end == o->nodes || *end || nodes < 1 || nodes > MOST_NODES))
        return status_fail(ERR_INPUT, "--nodes %.40s: expected a number from 1 to %d, or auto", o->nodes, MOST_NODES);
    o->batch.nodes = is_auto ? 0 : (int)nodes;
    return status_ok();
}

/* With so many nodes for each part as keep the deadline. */
static Status choose_nodes(SubmitOptions *o, EstimateOptions *e)
{
    Estimate estimate;
    Status status = estimate_make(e, o->campaign, &estimate);
    const int nodes = estimate.nodes_for_deadline, parts = o->batch.parts;
    if (!failed(status) && estimate.deadline_s <= 0)
        status = status_fail(ERR_INPUT, "--nodes auto: expected a deadline, in the campaign or as --deadline 06:00");
    else if (!failed(status) && nodes == 0)
        status = status_fail(ERR_INPUT, "--nodes auto: no number of nodes keeps the deadline in nine nights of ten; "
                                        "`reelwright plan` says what would make it cheaper");
    estimate_clear(&estimate);
    TRY(status);
    if ((nodes + parts - 1) / parts > MOST_NODES)
        return status_fail(
            ERR_INPUT,
            "--nodes auto: the deadline needs %d nodes, expected at most %d in a job; --parts makes several jobs",
            nodes, MOST_NODES);
    o->batch.nodes = (nodes + parts - 1) / parts;
    e->nodes = o->batch.nodes * parts;
    return status_ok();
}

/* What the night is expected to be, for whoever reads the report after it (deliver/report.c). */
static Status keep_plan(const SubmitOptions *o, const Estimate *e)
{
    if (o->dry_run) return status_ok();
    json_t *j = estimate_json(e);
    char *text = json_dumps(j, JSON_INDENT(2) | JSON_REAL_PRECISION(10)), *file = path_join(o->out, "plan.json");
    if (!text) abort();
    Status status = file_replace(file, text, strlen(text));
    json_decref(j);
    free(text);
    free(file);
    return status;
}

/* Of an option of `run` that is passed on, as "--workers 8" or "--workers=8"; otherwise where there is none. */
static int number_passed_on(const Batch *b, const char *option, int otherwise)
{
    const size_t bytes = strlen(option);
    int number = otherwise;
    for (char *const *word = b->run_options; *word; word++) {
        if (strncmp(*word, option, bytes) != 0) continue;
        if ((*word)[bytes] == '=') number = (int)strtol(*word + bytes + 1, NULL, 10);
        if ((*word)[bytes] == 0 && word[1]) number = (int)strtol(word[1], NULL, 10);
    }
    return number;
}

static Status plan_night(SubmitOptions *o)
{
    EstimateOptions options = {.record = o->record,
                               .deadline = o->deadline,
                               .workers = number_passed_on(&o->batch, "--workers", 0),
                               .group_size = number_passed_on(&o->batch, "--group-size", 0),
                               .finishers = number_passed_on(&o->batch, "--finishers", -1)};
    Estimate e;
    if (!o->record) return status_ok();
    if (o->batch.nodes == 0) TRY(choose_nodes(o, &options));
    options.nodes = o->batch.nodes * o->batch.parts;
    Status status = estimate_make(&options, o->campaign, &e);
    if (!failed(status)) {
        char done[3][32];
        log_line(LOG_INFO, "planned: done %s after the job's start, between %s and %s in eight nights of ten",
                 moment_length(e.forecast.p50_s, done[0]), moment_length(e.forecast.p10_s, done[1]),
                 moment_length(e.forecast.p90_s, done[2]));
        if (e.deadline_s > 0)
            log_line(
                LOG_INFO,
                "planned: with %d node%s the deadline is kept with a probability of %.0f %%, if the job starts now",
                options.nodes, plural_s(options.nodes), 100 * e.forecast.probability);
        status = keep_plan(o, &e);
    }
    estimate_clear(&e);
    return status;
}

/* Among the options of `run` that are passed on. */
static bool asks_for_update(const Batch *b)
{
    for (char *const *word = b->run_options; *word; word++)
        if (strcmp(*word, "--update") == 0) return true;
    return false;
}

static Status set_limits(SubmitOptions *o, const Campaign *c, double now_s)
{
    const char *text = o->deadline ? o->deadline : *c->settings.deadline ? c->settings.deadline : NULL;
    double when_s = 0;
    int until = 0;
    if (text && !deadline_parse(text, now_s, &when_s))
        return status_fail(ERR_INPUT, "--deadline %.40s: expected a time of day, 06:00, or \"2026-01-31 06:00\"", text);
    if (text && when_s - now_s < LEAST_MINUTES * 60)
        return status_fail(ERR_INPUT, "the deadline %s is less than %d minutes away, or over", text, LEAST_MINUTES);
    if (text) until = when_s - now_s > 1e8 ? 1000000 : (int)((when_s - now_s) / 60);
    o->batch.deadline = (long long)when_s;
    o->batch.own_deadline = o->deadline != NULL;
    o->batch.rows = c->clip_count;
    o->batch.minutes = o->minutes && (!until || o->minutes < until) ? o->minutes : until ? until : DEFAULT_MINUTES;
    return status_ok();
}

/* Where the folder is or will be: a dry run does not make it. */
static char *absolute(const char *path)
{
    char *real = realpath(path, NULL), here[4096];
    if (real) return real;
    return getcwd(here, sizeof here) ? path_join(here, path) : NULL;
}

static Status set_places(SubmitOptions *o, char **campaign, char **folder, char **program, char **home)
{
    if (!o->dry_run) TRY(file_make_folders(o->out));
    *campaign = realpath(o->campaign, NULL);
    *folder = absolute(o->out);
    *program = realpath("/proc/self/exe", NULL);
    if (!*campaign || !*folder || !*program) return status_errno(ERR_FATAL, "%s", o->out);
    char *build = path_folder(*program), *script = NULL;
    *home = path_folder(build);
    script = path_join(*home, "slurm/env.sh");
    if (!file_exists(script)) { /* installed elsewhere: without a site's settings */
        free(*home);
        *home = NULL;
    }
    free(build);
    free(script);
    o->batch.campaign = *campaign;
    o->batch.folder = *folder;
    o->batch.program = *program;
    o->batch.home = *home;
    return status_ok();
}

/* ---- submitting ---- */

static void print_submitted(const SubmitOptions *o, const Campaign *c, const char *job, const char *merge)
{
    const Batch *b = &o->batch;
    char until[64] = "";
    time_t when = (time_t)b->deadline;
    struct tm t;
    if (b->deadline && localtime_r(&when, &t)) strftime(until, sizeof until, ", until %H:%M on %-d %B", &t);
    foreign_print(stdout, "submitted job %s: %s, %lld clip%s in %lld render%s\n", job, c->name,
                  (long long)c->clip_count, plural_s(c->clip_count), (long long)c->shot_count, plural_s(c->shot_count));
    foreign_print(stdout, "  %d node%s%s, at most %d:%02d h an attempt%s\n", b->nodes, plural_s(b->nodes),
                  b->parts > 1 ? " for each part" : "", b->minutes / 60, b->minutes % 60, until);
    if (b->parts > 1)
        foreign_print(stdout, "  %d parts as an array; job %s merges them when all have ended\n", b->parts, merge);
    foreign_print(stdout, "  script   %s/campaign.sbatch (sbatch it to go on after the job has ended)\n", b->folder);
    foreign_print(stdout, "  queue    squeue --job %s\n", job);
    foreign_print(stdout, "  log      %s/slurm-%s%s.log\n", b->folder, job, b->parts > 1 ? "_PART" : "");
    char *part = text_format("%s%s", b->folder, b->parts > 1 ? "/parts/PART" : "");
    char *command = shell_suggest("status", part, NULL);
    foreign_print(stdout, "  status   %s\n", command);
    free(command);
    free(part);
    foreign_print(stdout,
                  "  stop     scancel --batch --signal=USR1 %s (checkpoints and requeues), scancel %s (ends it)\n", job,
                  job);
    foreign_print(stdout, "  list     %s/delivery.csv\n", b->folder);
}

static Status write_script(const Batch *b, const char *name, const char *text, char **file)
{
    *file = path_join(b->folder, name);
    return file_replace(*file, text, strlen(text));
}

static Status submit(const SubmitOptions *o, const Campaign *c)
{
    const Batch *b = &o->batch;
    char *text = NULL, *merge_text = NULL, *script = NULL, *merge_script = NULL, *job = NULL, *merge = NULL;
    Status status = status_ok();
    TRY_OUT(batch_fill(b, &text));
    TRY_OUT(batch_fill_merge(b, &merge_text));
    if (o->dry_run) {
        fputs(text, stdout);
        log_line(LOG_INFO, "nothing was submitted");
        goto out;
    }
    TRY_OUT(write_script(b, "campaign.sbatch", text, &script));
    TRY_OUT(batch_submit(script, NULL, &job));
    if (b->parts > 1) {
        TRY_OUT(write_script(b, "merge.sbatch", merge_text, &merge_script));
        status = status_at(batch_submit(merge_script, job, &merge), "job %s was submitted, its merge was not", job);
        if (failed(status)) goto out;
    }
    print_submitted(o, c, job, merge);
out:
    free(text);
    free(merge_text);
    free(script);
    free(merge_script);
    free(job);
    free(merge);
    return status;
}

Status verb_submit(int argc, char **argv)
{
    SubmitOptions o = {.batch = {.nodes = 1, .parts = 1}};
    Campaign *c = NULL;
    char *campaign = NULL, *folder = NULL, *program = NULL, *home = NULL;
    bool help;
    Status status = status_ok();
    TRY(read_options(&o, argc, argv, &help));
    if (help) return status;
    TRY(read_nodes(&o));
    TRY_OUT(campaign_load(o.campaign, &c));
    campaign_tell_warnings(c);
    if (o.batch.parts > 1 && c->settings.pilot > 0)
        TRY_OUT(status_fail(ERR_INPUT,
                            "%s: pilot: %d: expected none with --parts; a pilot is one run's, of the whole campaign",
                            o.campaign, c->settings.pilot));
    TRY_OUT(set_limits(&o, c, moment_wall_s()));
    TRY_OUT(folder_check(o.out, c, o.batch.parts, asks_for_update(&o.batch)));
    TRY_OUT(set_places(&o, &campaign, &folder, &program, &home));
    o.batch.name = c->name;
    TRY_OUT(plan_night(&o));
    TRY_OUT(submit(&o, c));
out:
    campaign_free(&c);
    free(campaign);
    free(folder);
    free(program);
    free(home);
    return status;
}
