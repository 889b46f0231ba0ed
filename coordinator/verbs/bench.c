/* bench.c - `reelwright bench CAMPAIGN.yaml`: measures a campaign on this machine, by running it, or a part of it, several times. The
 * record holds what the leases took; `plan` reads it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/foreign.h"
#include "common/log.h"
#include "common/moment.h"
#include "common/options.h"
#include "common/plural.h"
#include "common/shell.h"
#include "coordinator/campaign/campaign.h"
#include "coordinator/plan/energy.h"
#include "coordinator/plan/record_page.h"
#include "coordinator/verbs/verbs.h"

enum { MOST_ARGUMENTS = 32, MOST_SHOTS = 12 };

typedef struct {
    const char *campaign, *out, *against, *scratch, *backend, *dtype, *vae_dtype;
    int nights, shots, workers, finishers, group_size;
    bool json;
} BenchOptions;

typedef struct {
    char text[MOST_ARGUMENTS][16];
    char *word[MOST_ARGUMENTS + 1];
    int count;
} Words;

static void add_word(Words *w, const char *word)
{
    if (w->count < MOST_ARGUMENTS) w->word[w->count++] = (char *)(uintptr_t)word;
}

static void add_number(Words *w, const char *option, int number)
{
    if (number <= 0) return;
    add_word(w, option);
    snprintf(w->text[w->count], sizeof w->text[0], "%d", number);
    add_word(w, w->text[w->count]);
}

/* So many parts that one of them has about as many shots as were asked for. */
static int count_parts(const Campaign *c, int shots)
{
    return c->shot_count > shots ? (int)((c->shot_count + shots / 2) / shots) : 1;
}

static Status run_once(const BenchOptions *o, const char *folder, int parts, double *wall_s)
{
    Words w = {0};
    char part[32], *text = NULL;
    int code = 0;
    snprintf(part, sizeof part, "1/%d", parts);
    add_word(&w, "/proc/self/exe");
    add_word(&w, "run");
    add_word(&w, o->campaign);
    add_word(&w, "--out");
    add_word(&w, folder);
    add_word(&w, "--quiet");
    if (parts > 1) add_word(&w, "--part");
    if (parts > 1) add_word(&w, part);
    add_number(&w, "--workers", o->workers);
    add_number(&w, "--finishers", o->finishers);
    add_number(&w, "--group-size", o->group_size);
    if (o->backend) add_word(&w, "--backend");
    if (o->backend) add_word(&w, o->backend);
    if (o->dtype) add_word(&w, "--dtype");
    if (o->dtype) add_word(&w, o->dtype);
    if (o->vae_dtype) add_word(&w, "--vae-dtype");
    if (o->vae_dtype) add_word(&w, o->vae_dtype);
    const double begin_s = moment_s();
    Status status = shell_run(w.word, &text, &code);
    *wall_s = moment_s() - begin_s;
    if (!failed(status) && code != 0)
        status = status_fail(code == 2 ? ERR_INPUT : ERR_NODE,
                             "the run that was to be measured ended with status %d:\n%s", code, text);
    free(text);
    return status;
}

static void remove_folder(const char *folder)
{
    char *text = NULL;
    int code;
    char *argv[] = {"rm", "-rf", "--", (char *)(uintptr_t)folder, NULL};
    if (!failed(shell_run(argv, &text, &code))) free(text);
}

static Status measure_night(const BenchOptions *o, const char *scratch, int parts, int night, Record *r)
{
    double wall_s = 0;
    char *folder = text_format("%s/night-%d", scratch, night);
    EnergyReading before, after;
    const bool reads_energy = energy_read(NULL, &before);
    Status status = run_once(o, folder, parts, &wall_s);
    const bool is_read = reads_energy && energy_read(NULL, &after);
    char *ledger = parts > 1 ? part_folder(folder, (Part){1, parts}) : text_copy(folder);
    if (!failed(status)) status = record_add_folder(ledger, wall_s, r);
    if (!failed(status) && is_read) record_add_energy(r, energy_between(&before, &after));
    if (!failed(status)) log_line(LOG_INFO, "night %d of %d: %.1f s", night, o->nights, wall_s);
    remove_folder(folder);
    free(ledger);
    free(folder);
    return status;
}

static Status measure(const BenchOptions *o, Record *r)
{
    Campaign *c = NULL;
    char *scratch = text_format("%s/reelwright-bench-XXXXXX", o->scratch);
    Status status = campaign_load(o->campaign, &c);
    if (!failed(status) && !mkdtemp(scratch)) status = status_errno(ERR_INPUT, "--scratch %s", o->scratch);
    if (failed(status)) {
        free(scratch);
        campaign_free(&c);
        return status;
    }
    const int parts = count_parts(c, o->shots);
    log_line(LOG_INFO, "%s: %d night%s of about %lld of %lld render%s each, in %s", c->name, o->nights,
             plural_s(o->nights), (long long)(c->shot_count / parts), (long long)c->shot_count, plural_s(c->shot_count),
             scratch);
    for (int night = 1; night <= o->nights && !failed(status); night++)
        status = measure_night(o, scratch, parts, night, r);
    remove_folder(scratch);
    free(scratch);
    campaign_free(&c);
    return status;
}

static void print_record(const Record *r)
{
    foreign_print(stdout, "%d worker%s%s, %d finisher%s\n", r->workers, plural_s(r->workers),
                  r->both ? " that also finish" : "", r->finishers, plural_s(r->finishers));
    foreign_print(stdout, "             p50      p90      p99\n");
    foreign_print(stdout, "  render  %7.3f  %7.3f  %7.3f s   (text %.3f, denoise %.3f, decode %.3f)\n",
                  measured_quantile(&r->render, 0.5), measured_quantile(&r->render, 0.9),
                  measured_quantile(&r->render, 0.99), r->text_s, r->denoise_s, r->decode_s);
    foreign_print(stdout, "  finish  %7.3f  %7.3f  %7.3f s\n", measured_quantile(&r->finish, 0.5),
                  measured_quantile(&r->finish, 0.9), measured_quantile(&r->finish, 0.99));
    foreign_print(stdout, "  load    %7.3f s; start %.2f s, end %.2f s; nights differ by %.1f %%\n",
                  measured_quantile(&r->load, 0.5), r->start_s, r->end_s, 100 * r->run_sd);
    if (record_watts(r) > 0) foreign_print(stdout, "  energy  %7.1f W, of the processors\n", record_watts(r));
    for (size_t i = 0; i < json_array_size(r->invalid); i++)
        foreign_print(stdout, "INVALID: %s\n", json_string_value(json_array_get(r->invalid, i)));
}

/* "record.html" beside "record.json". */
static Status write_page(const BenchOptions *o, const Record *r)
{
    Record other = {0};
    const size_t bytes = strlen(o->out), ending = bytes > 5 && strcmp(o->out + bytes - 5, ".json") == 0 ? 5 : 0;
    char *page = text_format("%.*s.html", (int)(bytes - ending), o->out);
    const NamedRecord records[] = {{o->against ? path_name(o->against) : path_name(o->out), o->against ? &other : r},
                                   {path_name(o->out), r}};
    Status status = o->against ? record_read(o->against, &other) : status_ok();
    if (!failed(status)) status = record_page_write(records, o->against ? 2 : 1, page);
    record_clear(&other);
    free(page);
    return status;
}

Status verb_bench_campaign(int argc, char **argv)
{
    BenchOptions o = {.nights = 3,
                      .shots = MOST_SHOTS,
                      .out = "record.json",
                      .scratch = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp"};
    const Option option[] = {
        {"out", OPTION_TEXT, &o.out, .value = "FILE.json", .help = "the record (record.json)"},
        {"against", OPTION_TEXT, &o.against, .value = "FILE.json",
         .help = "an earlier record: the page beside the new one compares them"},
        {"nights", OPTION_INT, &o.nights, .value = "N", .min = 1, .max = 100, .help = "how often the work is done (3)"},
        {"shots", OPTION_INT, &o.shots, .value = "N", .min = 1, .max = 1 << 20,
         .help = "about so many renders each time (12)"},
        {"scratch", OPTION_TEXT, &o.scratch, .value = "DIR", .help = "where; emptied afterwards ($TMPDIR, or /tmp)"},
        {"workers", OPTION_INT, &o.workers, .value = "N", .min = 1, .max = 4096},
        {"finishers", OPTION_INT, &o.finishers, .value = "M", .min = 0, .max = 4096},
        {"group-size", OPTION_INT, &o.group_size, .value = "T", .min = 1, .max = 64},
        {"backend", OPTION_TEXT, &o.backend, .value = WORK_BACKENDS},
        {"dtype", OPTION_TEXT, &o.dtype, .value = WORK_DTYPES},
        {"vae-dtype", OPTION_TEXT, &o.vae_dtype, .value = "fp32|bf16", .help = "as `run` takes them"},
        {"json", OPTION_FLAG, &o.json, .help = "the record on stdout"}};
    const Usage usage = {
        .verb = "bench",
        .arguments = "CAMPAIGN.yaml [options]   or   bench --stage NAME [options]",
        .about = "Measures a campaign on this machine: runs it, or a part of it, several times with all that\n"
                 "belongs to it, and writes how long each kind of work took. `plan --record FILE` reads that.\n"
                 "With --stage: times one stage alone; `bench --stage finish --help` and `bench --stage step --help` "
                 "say how.",
        .option = option,
        .option_count = sizeof option / sizeof *option,
        .min_arguments = 1,
        .max_arguments = 1};
    int first;
    Record r;
    TRY(options_read(&usage, argc, argv, &first));
    if (first < 0) return status_ok();
    o.campaign = argv[first];
    record_begin(&r);
    Status status = measure(&o, &r);
    if (!failed(status)) {
        if (o.backend) json_object_set_new(r.work, "backend", json_string(o.backend));
        if (o.dtype) json_object_set_new(r.work, "dtype", json_string(o.dtype));
        r.group_size = o.group_size ? o.group_size : 1;
        record_settle(&r);
        status = record_write(&r, o.out);
        if (!failed(status)) status = write_page(&o, &r);
    }
    if (!failed(status) && o.json) {
        json_t *j = record_json(&r);
        json_dumpf(j, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
        putchar('\n');
        json_decref(j);
    } else if (!failed(status)) {
        print_record(&r);
        foreign_print(stdout, "record in %s, with a page beside it; next: reelwright plan %s --record %s\n", o.out,
                      o.campaign, o.out);
    }
    record_clear(&r);
    return status;
}
