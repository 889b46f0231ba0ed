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
#include "coordinator/plan/disk.h"
#include "coordinator/plan/energy.h"
#include "coordinator/plan/record_page.h"
#include "coordinator/verbs/verbs.h"

enum { MOST_ARGUMENTS = 32, MOST_SHOTS = 12 };

typedef struct {
    const char *campaign, *model, *out, *page, *files, *scratch, *backend, *dtype, *vae_dtype;
    OptionTexts against;
    const char *workers, *group_sizes; /* "1,2,4"; NULL: as `run` chooses */
    int nights, shots, finishers;
    bool json;
} BenchOptions;

typedef struct { /* one way to use the machine; 0: as `run` chooses */
    int workers, group_size;
} Split;
enum { MOST_NUMBERS = 8, MOST_SPLITS = MOST_NUMBERS * MOST_NUMBERS };

typedef struct {
    char text[MOST_ARGUMENTS][16];
    char *word[MOST_ARGUMENTS + 1];
    int count;
} Words;

static void add_word(Words *w, const char *word)
{
    if (w->count < MOST_ARGUMENTS) w->word[w->count++] = (char *)(uintptr_t)word;
}

static void add_words(Words *w, const char *const *word) /* to NULL */
{
    for (; *word; word++) add_word(w, *word);
}

static void add_number(Words *w, const char *option, int number)
{
    if (number <= 0) return;
    add_word(w, option);
    snprintf(w->text[w->count], sizeof w->text[0], "%d", number);
    add_word(w, w->text[w->count]);
}

/* Into how many parts the campaign is cut, so that one part has about as many shots as the user wants rendered. */
static int count_parts(const Campaign *c, int shots)
{
    return c->shot_count > shots ? (int)((c->shot_count + shots / 2) / shots) : 1;
}

static Status run_once(const BenchOptions *o, Split split, const char *folder, int parts, double *wall_s)
{
    Words w = {0};
    char part[32], *text = NULL;
    int code = 0;
    snprintf(part, sizeof part, "1/%d", parts);
    add_words(&w, (const char *[]){"/proc/self/exe", "run", o->campaign, "--out", folder, "--quiet", NULL});
    if (parts > 1) add_words(&w, (const char *[]){"--part", part, NULL});
    add_number(&w, "--workers", split.workers);
    add_number(&w, "--finishers", o->finishers);
    add_number(&w, "--group-size", split.group_size);
    if (o->backend) add_words(&w, (const char *[]){"--backend", o->backend, NULL});
    if (o->dtype) add_words(&w, (const char *[]){"--dtype", o->dtype, NULL});
    if (o->vae_dtype) add_words(&w, (const char *[]){"--vae-dtype", o->vae_dtype, NULL});
    const double begin_s = moment_s();
    Status status = shell_run(w.word, &text, &code);
    *wall_s = moment_s() - begin_s;
    if (!failed(status) && code != 0) {
        char *said = shell_said(text);
        status = status_fail(code == 2 ? ERR_INPUT : ERR_NODE,
                             "the run that was to be measured ended with status %d: %s", code, said);
        free(said);
    }
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

static Status measure_night(const BenchOptions *o, Split split, const char *scratch, int parts, int night, Record *r)
{
    double wall_s = 0;
    char *folder = text_format("%s/night-%d", scratch, night);
    EnergyReading before, after;
    energy_read(&before);
    Status status = run_once(o, split, folder, parts, &wall_s);
    energy_read(&after);
    char *ledger = parts > 1 ? part_folder(folder, (Part){1, parts}) : text_copy(folder);
    if (!failed(status)) status = record_add_folder(ledger, wall_s, r);
    if (!failed(status)) record_add_energy(r, energy_between(&before, &after), energy_between_gpus(&before, &after));
    if (!failed(status)) log_line(LOG_INFO, "night %d of %d: %.1f s", night, o->nights, wall_s);
    remove_folder(folder);
    free(ledger);
    free(folder);
    return status;
}

/* Runs this program and reads the JSON object that it prints. */
static Status run_for_json(Words *w, const char *what, json_t **out)
{
    char *text = NULL;
    int code = 0;
    Status status = shell_run(w->word, &text, &code);
    const char *line = text ? strchr(text, '{') : NULL;
    *out = line ? json_loads(line, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
    if (!failed(status) && (code != 0 || !*out)) {
        char *said = shell_said(text);
        status = status_fail(ERR_NODE, "the measurement of %s ended with status %d: %s", what, code, said);
        free(said);
    }
    free(text);
    return status;
}

/* What the ranks of a group exchange, measured by as many processes. Without a group there is nothing to exchange. */
static Status measure_network(int ranks, Record *r)
{
    Words w = {0};
    json_t *sum = NULL;
    if (ranks < 2) return status_ok();
    add_words(&w, (const char *[]){"/proc/self/exe", "bench", "--stage", "sum", "--json", NULL});
    add_number(&w, "--ranks", ranks);
    Status status = run_for_json(&w, "the network", &sum);
    if (!failed(status))
        r->network = json_pack("{s:i, s:I, s:f, s:f}", "ranks", ranks, "bytes",
                               json_integer_value(json_object_get(sum, "bytes")), "median_s",
                               json_number_value(json_object_get(json_object_get(sum, "seconds"), "median")),
                               "bytes_per_s", json_number_value(json_object_get(sum, "bytes_per_s")));
    json_decref(sum);
    return status;
}

/* What the operations of the campaign's model reach of what the processors could do. */
static Status measure_roofline(const BenchOptions *o, const Campaign *c, Record *r)
{
    Words w = {0};
    char latent[64];
    const VaeConfig *v = &c->model->vae;
    if (o->backend && strcmp(o->backend, "cpu") != 0) return status_ok();
    snprintf(latent, sizeof latent, "%dx%dx%d", (c->base.frames - 1) / v->scale_time + 1,
             c->base.height / v->scale_space, c->base.width / v->scale_space);
    add_words(&w, (const char *[]){"/proc/self/exe", "bench", "--stage", "roofline", "--model", c->model_folder,
                                   "--latent", latent, "--json", NULL});
    if (o->dtype) add_words(&w, (const char *[]){"--dtype", o->dtype, NULL});
    return run_for_json(&w, "operations", &r->roofline);
}

/* For a model without a campaign: as many rows as are rendered, each a clip of its own, at what the model's folder says -> its file. */
static Status write_campaign(const BenchOptions *o, const char *folder, char **file)
{
    char *model = realpath(o->model, NULL);
    if (!model) return status_errno(ERR_INPUT, "--model %s", o->model);
    json_t *name = json_string(model);
    char *word = name ? json_dumps(name, JSON_ENCODE_ANY) : NULL, *rows = text_copy("id,thing\n");
    for (int i = 0; i < o->shots && word; i++) {
        char *longer = text_format("%sr%d,thing %d\n", rows, i, i);
        free(rows);
        rows = longer;
    }
    char *table = path_join(folder, "bench.csv"),
         *text =
             text_format("campaign: bench\nmodel: %s\ncustomers: bench.csv\nprompt: \"a red balloon and {{thing}}\"\n"
                         "seed: 7\nrenditions: [preview]\nreview: {policy: none}\n",
                         word ? word : "");
    *file = path_join(folder, "bench.yaml");
    Status status =
        word ? file_replace(table, rows, strlen(rows)) : status_fail(ERR_INPUT, "--model: a name that is no UTF-8");
    if (!failed(status)) status = file_replace(*file, text, strlen(text));
    free(model);
    free(word);
    free(rows);
    free(table);
    free(text);
    json_decref(name);
    return status;
}

/* The user did not write this campaign: a fault in its key `model` becomes a fault of the option --model. */
static Status about_model(Status s, const char *campaign, const char *model)
{
    char *place = text_format("%s:2: field model: ", campaign);
    const char *at = failed(s) ? strstr(s.message, place) : NULL;
    if (at) {
        char *text = text_format("%.*s--model %s: %s", (int)(at - s.message), s.message, model, at + strlen(place));
        s = status_lines(s.err, text);
        free(text);
    }
    free(place);
    return s;
}

/* "1,2,4" -> number[*count]; NULL: one 0. */
static Status read_numbers(const char *option, const char *text, int most, int number[MOST_NUMBERS], int *count)
{
    const char *at = text;
    *count = 0;
    if (!text) return number[(*count)++] = 0, status_ok();
    do {
        char *end;
        const long n = strtol(at, &end, 10);
        if (end == at || (*end && *end != ',') || n < 1 || n > most || *count == MOST_NUMBERS)
            return status_fail(ERR_INPUT, "%s %.60s: expected a number from 1 to %d, or up to %d of them: 1,2,4",
                               option, text, most, MOST_NUMBERS);
        number[(*count)++] = (int)n;
        at = *end ? end + 1 : end;
    } while (*at);
    return status_ok();
}

/* Each number of workers with each size of groups, but for groups that have more ranks than there are workers. */
static Status read_splits(const BenchOptions *o, Split split[MOST_SPLITS], int *count)
{
    int workers[MOST_NUMBERS], sizes[MOST_NUMBERS], worker_count, size_count;
    TRY(read_numbers("--workers", o->workers, 4096, workers, &worker_count));
    TRY(read_numbers("--group-size", o->group_sizes, 64, sizes, &size_count));
    *count = 0;
    for (int i = 0; i < worker_count; i++)
        for (int k = 0; k < size_count; k++)
            if (!workers[i] || workers[i] >= sizes[k]) split[(*count)++] = (Split){workers[i], sizes[k]};
    if (*count) return status_ok();
    return status_fail(ERR_INPUT, "--group-size %s: expected groups of at most as many as --workers %s", o->group_sizes,
                       o->workers);
}

/* All nights of one split, and what its groups exchange. */
static Status measure_split(const BenchOptions *o, Split split, const char *scratch, int parts, Record *r)
{
    Status status = measure_network(split.group_size, r);
    for (int night = 1; night <= o->nights && !failed(status); night++)
        status = measure_night(o, split, scratch, parts, night, r);
    if (o->backend) json_object_set_new(r->work, "backend", json_string(o->backend));
    if (o->dtype) json_object_set_new(r->work, "dtype", json_string(o->dtype));
    r->group_size = split.group_size;
    record_settle(r);
    return status;
}

static Status measure(BenchOptions *o, Record *r)
{
    Split split[MOST_SPLITS];
    int splits;
    TRY(read_splits(o, split, &splits));
    Campaign *c = NULL;
    char *scratch = text_format("%s/reelwright-bench-XXXXXX", o->scratch), *own = NULL;
    if (!mkdtemp(scratch)) {
        free(scratch);
        return status_errno(ERR_INPUT, "--scratch %s", o->scratch);
    }
    Status status = o->model ? write_campaign(o, scratch, &own) : status_ok();
    if (o->model) o->campaign = own;
    if (!failed(status)) status = campaign_load(o->campaign, &c);
    if (own) status = about_model(status, own, o->model);
    if (failed(status)) {
        remove_folder(scratch);
        free(scratch);
        free(own);
        return status;
    }
    const int parts = count_parts(c, o->shots);
    log_line(LOG_INFO, "%s: %d night%s of about %lld of %lld render%s each, in %s", c->name, o->nights,
             plural_s(o->nights), (long long)(c->shot_count / parts), (long long)c->shot_count, plural_s(c->shot_count),
             scratch);
    status = disk_measure(scratch, &r->file_system);
    if (!failed(status)) status = measure_roofline(o, c, r);
    for (int i = 0; i < splits && !failed(status); i++) {
        if (splits > 1)
            log_line(LOG_INFO, "%d of %d: --workers %d in groups of %d", i + 1, splits, split[i].workers,
                     split[i].group_size > 0 ? split[i].group_size : 1);
        status = measure_split(o, split[i], scratch, parts, i == 0 ? r : record_add_other(r));
    }
    remove_folder(scratch);
    if (o->model) o->campaign = "CAMPAIGN.yaml";
    free(scratch);
    free(own);
    campaign_free(&c);
    return status;
}

static void print_files(const json_t *file_system)
{
    const char *const key[] = {"write_mb_s", "fsync_p50_ms", "fsync_p99_ms", "files_per_s"};
    double x[4];
    for (int i = 0; i < 4; i++) x[i] = json_number_value(json_object_get(file_system, key[i]));
    foreign_print(stdout, "  files   %7.0f MB/s written, one fsync %.2g ms (p99 %.2g), %.0f files a second\n", x[0],
                  x[1], x[2], x[3]);
}

static Status measure_files(const BenchOptions *o)
{
    json_t *found = NULL;
    TRY(disk_measure(o->files, &found));
    if (o->json)
        foreign_print_json(stdout, found, JSON_REAL_PRECISION(6));
    else
        print_files(found);
    json_decref(found);
    return status_ok();
}

static void print_watts(const Record *r)
{
    const Watts w = record_watts(r);
    char processors[32] = "not readable", gpus[32] = "not readable";
    if (w.processors > 0) snprintf(processors, sizeof processors, "%.1f W", w.processors);
    if (w.gpus > 0) snprintf(gpus, sizeof gpus, "%.1f W", w.gpus);
    foreign_print(stdout, "  energy  processors: %s; GPUs: %s\n", processors, gpus);
}

static void print_record(const Record *r)
{
    foreign_print(stdout, "%d worker%s%s, %d finisher%s\n", r->workers, plural_s(r->workers),
                  !r->both          ? ""
                  : r->workers == 1 ? " that also finishes"
                                    : " that also finish",
                  r->finishers, plural_s(r->finishers));
    foreign_print(stdout, "             p50      p90      p99\n");
    foreign_print(stdout, "  render  %7.3f  %7.3f  %7.3f s   (text %.3f, denoise %.3f, decode %.3f)\n",
                  measured_quantile(&r->render, 0.5), measured_quantile(&r->render, 0.9),
                  measured_quantile(&r->render, 0.99), r->text_s, r->denoise_s, r->decode_s);
    foreign_print(stdout, "  finish  %7.3f  %7.3f  %7.3f s\n", measured_quantile(&r->finish, 0.5),
                  measured_quantile(&r->finish, 0.9), measured_quantile(&r->finish, 0.99));
    foreign_print(stdout, "  load    %7.3f s; start %.2f s, end %.2f s; nights differ by %.1f %%\n",
                  measured_quantile(&r->load, 0.5), r->start_s, r->end_s, 100 * r->run_sd);
    if (r->gates_s + r->watermark_s + r->credentials_s > 0)
        foreign_print(stdout,
                      "          of a finish: gates %.3f, watermark %.3f, credentials %.3f s, summed over threads\n",
                      r->gates_s, r->watermark_s, r->credentials_s);
    foreign_print(stdout, "  frame   %7.3f s from a render's lease to its first frame (median)\n",
                  measured_quantile(&r->first_frame, 0.5));
    foreign_print(stdout,
                  "  memory  %7.0f MB at most by one who renders%s; a master %.2f MB, a clip's files %.2f MB, a "
                  "checkpoint %.2f MB\n",
                  (double)r->renderer_bytes / 1e6, r->both ? " and finishes" : "", r->master_bytes / 1e6,
                  r->clip_bytes / 1e6, r->checkpoint_bytes / 1e6);
    print_files(r->file_system);
    if (r->network)
        foreign_print(stdout, "  network %7.2f GB/s, sums over a group of %d\n",
                      json_number_value(json_object_get(r->network, "bytes_per_s")) / 1e9,
                      (int)json_integer_value(json_object_get(r->network, "ranks")));
    foreign_print(stdout, "  clips   %7.0f an hour\n", record_rates(r).node);
    print_watts(r);
    for (int i = 0; i < r->other_count; i++)
        foreign_print(stdout, "  beside  %7.0f clips an hour by %d worker%s in groups of %d; a render %.3f s\n",
                      record_rates(&r->other[i]).node, r->other[i].workers, plural_s(r->other[i].workers),
                      r->other[i].group_size, measured_quantile(&r->other[i].render, 0.5));
    for (size_t i = 0; i < json_array_size(r->invalid); i++)
        foreign_print(stdout, "INVALID: %s\n", json_string_value(json_array_get(r->invalid, i)));
}

/* A page about these records, and (r not NULL) about r, which is the newest then. */
static Status write_page(const char *page, const char *const *files, int count, const char *name, const Record *r)
{
    Record *other = memory_get((size_t)count + 1, sizeof *other);
    NamedRecord *named = memory_get((size_t)count + 1, sizeof *named);
    Status status = status_ok();
    for (int i = 0; i < count && !failed(status); i++) {
        status = record_read(files[i], &other[i]);
        named[i] = (NamedRecord){path_name(files[i]), &other[i]};
    }
    if (r) named[count] = (NamedRecord){path_name(name), r};
    if (!failed(status)) status = record_page_write(named, count + (r != NULL), page);
    for (int i = 0; i < count; i++) record_clear(&other[i]);
    free(other);
    free(named);
    return status;
}

/* `bench --page *.json` would put the page in the place of the first record. */
static Status check_page(const char *page)
{
    const size_t bytes = strlen(page);
    if (bytes > 5 && strcmp(page + bytes - 5, ".html") == 0) return status_ok();
    return status_fail(ERR_INPUT, "--page %s: expected the page's own name first, FILE.html, then the records", page);
}

/* Before nights are measured, not after them. */
static Status check_against(const BenchOptions *o)
{
    for (int i = 0; i < o->against.count; i++) {
        Record r;
        Status status = record_read(o->against.text[i], &r);
        record_clear(&r);
        TRY(status);
    }
    return status_ok();
}

/* "record.html" beside "record.json". */
static Status write_page_beside(const BenchOptions *o, const Record *r)
{
    const size_t bytes = strlen(o->out), ending = bytes > 5 && strcmp(o->out + bytes - 5, ".json") == 0 ? 5 : 0;
    char *page = text_format("%.*s.html", (int)(bytes - ending), o->out);
    Status status = write_page(page, o->against.text, o->against.count, o->out, r);
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
        {"model", OPTION_TEXT, &o.model, .value = "DIR",
         .help = "instead of a campaign: clips of this model, as its folder says, one rendition"},
        {"out", OPTION_TEXT, &o.out, .value = "FILE.json", .help = "the record (record.json)"},
        {"against", OPTION_TEXTS, &o.against, .value = "FILE.json",
         .help = "an earlier record: the page beside the new one compares them; again for more, which are its history"},
        {"files", OPTION_TEXT, &o.files, .value = "DIR", .help = "measures the file system of DIR, and nothing else"},
        {"page", OPTION_TEXT, &o.page, .value = "FILE.html",
         .help = "measures nothing: a page about the records that are given, the newest last"},
        {"nights", OPTION_INT, &o.nights, .value = "N", .min = 1, .max = 100, .help = "how often the work is done (3)"},
        {"shots", OPTION_INT, &o.shots, .value = "N", .min = 1, .max = 1 << 20,
         .help = "about so many renders each time (12)"},
        {"scratch", OPTION_TEXT, &o.scratch, .value = "DIR", .help = "where; emptied afterwards ($TMPDIR, or /tmp)"},
        {"workers", OPTION_TEXT, &o.workers, .value = "N[,N]",
         .help = "as `run` takes them; of several numbers each is measured"},
        {"finishers", OPTION_INT, &o.finishers, .value = "M", .min = 0, .max = 4096},
        {"group-size", OPTION_TEXT, &o.group_sizes, .value = "T[,T]",
         .help = "likewise; `plan` compares what was measured"},
        {"backend", OPTION_TEXT, &o.backend, .value = WORK_BACKENDS},
        {"dtype", OPTION_TEXT, &o.dtype, .value = WORK_DTYPES},
        {"vae-dtype", OPTION_TEXT, &o.vae_dtype, .value = "fp32|bf16", .help = "as `run` takes them"},
        {"json", OPTION_FLAG, &o.json, .help = "the record on stdout"}};
    const Usage usage = {
        .verb = "bench",
        .arguments = "CAMPAIGN.yaml|--model DIR [options]\n"
                     "       reelwright bench --page FILE.html RECORD.json...\n"
                     "       reelwright bench --stage NAME|--scenario NAME [options]",
        .about = "Measures a campaign on this machine: runs it, or a part of it, several times with all that\n"
                 "belongs to it, and writes how long each kind of work took. `plan --record FILE` reads that. With\n"
                 "--stage, --shape or --scenario: the engine alone, one stage or whole renders as MLPerf measures\n"
                 "them; `bench --stage step --help` says how, as do those of the stages finish and roofline.",
        .option = option,
        .option_count = sizeof option / sizeof *option,
        .min_arguments = 0,
        .max_arguments = 1 << 10};
    int first;
    Record r;
    TRY(options_read(&usage, argc, argv, &first));
    if (first < 0) return status_ok();
    if (o.files && argv[first]) return status_fail(ERR_INPUT, "--files %s: expected nothing else to measure", o.files);
    if (o.files) return measure_files(&o);
    if (o.page && !argv[first])
        return status_fail(ERR_INPUT, "--page %s: expected records to draw, the newest last", o.page);
    if (o.page) TRY(check_page(o.page));
    if (o.page) TRY(file_check_place(o.page));
    if (o.page) return write_page(o.page, (const char *const *)(argv + first), argc - first, NULL, NULL);
    if (!argv[first] == !o.model || (argv[first] && argv[first + 1]))
        return status_fail(ERR_INPUT, "expected a campaign's file or --model DIR, one of them");
    o.campaign = argv[first];
    TRY(file_check_place(o.out));
    TRY(check_against(&o));
    record_begin(&r);
    Status status = measure(&o, &r);
    if (!failed(status)) {
        status = record_write(&r, o.out);
        if (!failed(status)) status = write_page_beside(&o, &r);
    }
    if (!failed(status) && o.json) {
        json_t *j = record_json(&r);
        foreign_print_json(stdout, j, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
        json_decref(j);
    } else if (!failed(status)) {
        print_record(&r);
        foreign_print(stdout, "record in %s, with a page beside it; next: reelwright plan %s --record %s\n", o.out,
                      o.campaign, o.out);
    }
    record_clear(&r);
    return status;
}
