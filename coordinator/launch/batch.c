#include "batch.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/file.h"
#include "common/shell.h"

/* Slurm signals a job so long before its time is over: a hundred seconds for checkpoints, twenty for the rest, and more for the list and the
 * report of many rows (a million took 15.5 s; a shared file system is slower). */
enum { NOTICE_S = 120, ROWS_A_SECOND = 10000 };

static const char options_mark[] = "# @options", arguments_mark[] = "# @arguments";

/* ---- lines ---- */

static Status put_option(FILE *f, const char *name, const char *value)
{
    if (value[strcspn(value, "\"\\\n\r")])
        return status_fail(ERR_INPUT, "--%s %.60s: a quote, a backslash or a line break cannot stand in a batch script",
                           name, value);
    fprintf(f, "#SBATCH --%s=\"%s\"\n", name, value);
    return status_ok();
}

/* In the names of output files Slurm replaces %j and the like. */
static char *plain_percent(const char *path)
{
    size_t n = strlen(path), at = 0;
    char *text = memory_get(2 * n + 1, 1);
    for (const char *p = path; *p; p++) {
        text[at++] = *p;
        if (*p == '%') text[at++] = '%';
    }
    return text;
}

static Status put_output(FILE *f, const Batch *b, const char *kind)
{
    char *folder = plain_percent(b->folder), *file = text_format("%s/%s", folder, kind);
    Status status = put_option(f, "output", file);
    free(folder);
    free(file);
    return status;
}

static char *job_name(const char *campaign, const char *kind)
{
    char *name = text_format("reelwright-%.60s%s", campaign, kind);
    for (char *p = name; *p; p++)
        if (!isalnum((unsigned char)*p) && *p != '-' && *p != '_' && *p != '.') *p = '_';
    return name;
}

static void put_word(FILE *f, const char *word)
{
    char *quoted = shell_quote(word);
    fputs(quoted, f);
    free(quoted);
}

static void put_setting(FILE *f, const char *name, const char *value)
{
    fprintf(f, "export %s=", name);
    put_word(f, value);
    putc('\n', f);
}

static Status put_where(FILE *f, const Batch *b)
{
    if (b->partition) TRY(put_option(f, "partition", b->partition));
    if (b->account) TRY(put_option(f, "account", b->account));
    if (b->qos) TRY(put_option(f, "qos", b->qos));
    return status_ok();
}

static Status put_options(FILE *f, const Batch *b)
{
    char *name = job_name(b->name, "");
    Status status = put_option(f, "job-name", name);
    free(name);
    TRY(status);
    fprintf(f, "#SBATCH --nodes=%d\n#SBATCH --time=%d\n", b->nodes, b->minutes);
    fprintf(f, "#SBATCH --signal=B:USR1@%lld\n", NOTICE_S + b->rows / ROWS_A_SECOND);
    if (b->parts > 1) fprintf(f, "#SBATCH --array=1-%d\n#SBATCH --dependency=\n", b->parts);
    TRY(put_output(f, b, b->parts > 1 ? "slurm-%A_%a.log" : "slurm-%j.log"));
    TRY(put_where(f, b));
    for (int i = 0; i < b->sbatch.count; i++) {
        const char *text = b->sbatch.text[i];
        if (text[0] != '-' || text[strcspn(text, "\n\r")])
            return status_fail(ERR_INPUT, "--sbatch %.60s: expected an option of sbatch, --sbatch=--constraint=h100",
                               text);
        fprintf(f, "#SBATCH %s\n", text);
    }
    return status_ok();
}

static void put_place(FILE *f, const Batch *b)
{
    put_setting(f, "REELWRIGHT", b->program);
    if (b->home) put_setting(f, "REELWRIGHT_HOME", b->home);
}

/* With its date: a job that starts only after midnight must not read it as the next day's. */
static void put_deadline(FILE *f, long long deadline)
{
    char text[32] = "";
    time_t when = (time_t)deadline;
    struct tm tm;
    if (localtime_r(&when, &tm)) strftime(text, sizeof text, "%Y-%m-%d %H:%M", &tm);
    fputs(" --deadline ", f);
    put_word(f, text);
}

static void put_arguments(FILE *f, const Batch *b)
{
    put_place(f, b);
    if (b->deadline) fprintf(f, "export REELWRIGHT_DEADLINE=%lld\n", b->deadline);
    if (b->parts > 1) fprintf(f, "export REELWRIGHT_PARTS=%d\n", b->parts);
    fputs("set -- ", f);
    put_word(f, b->campaign);
    putc(' ', f);
    put_word(f, b->folder);
    if (b->own_deadline) put_deadline(f, b->deadline);
    for (char *const *o = b->run_options; *o; o++) {
        putc(' ', f);
        put_word(f, *o);
    }
    putc('\n', f);
}

/* ---- scripts ---- */

typedef Status PutOptions(FILE *f, const Batch *b);
typedef void PutArguments(FILE *f, const Batch *b);

/* The template with the two marked lines replaced. */
static Status fill(const Batch *b, const char *text, PutOptions *options, PutArguments *arguments, char **out)
{
    size_t bytes;
    FILE *f = open_memstream(out, &bytes);
    if (!f) abort();
    Status status = status_ok();
    for (const char *line = text, *end; *line && !failed(status); line = end) {
        end = strchr(line, '\n');
        end = end ? end + 1 : line + strlen(line);
        if (strncmp(line, options_mark, strlen(options_mark)) == 0)
            status = options(f, b);
        else if (strncmp(line, arguments_mark, strlen(arguments_mark)) == 0)
            arguments(f, b);
        else
            fwrite(line, 1, (size_t)(end - line), f);
    }
    fclose(f);
    if (failed(status)) {
        free(*out);
        *out = NULL;
    }
    return status;
}

Status batch_fill(const Batch *b, char **text)
{
    return fill(b, batch_campaign_text, put_options, put_arguments, text);
}

static Status put_merge_options(FILE *f, const Batch *b)
{
    char *name = job_name(b->name, "-merge");
    Status status = put_option(f, "job-name", name);
    free(name);
    TRY(status);
    TRY(put_output(f, b, "slurm-merge-%j.log"));
    return put_where(f, b);
}

static void put_merge_arguments(FILE *f, const Batch *b)
{
    put_place(f, b);
    fputs("set -- ", f);
    put_word(f, b->folder);
    putc('\n', f);
}

Status batch_fill_merge(const Batch *b, char **text)
{
    return fill(b, batch_merge_text, put_merge_options, put_merge_arguments, text);
}

/* "123" or "123;cluster"; what sbatch says besides stands in lines of its own. */
static char *parse_job(const char *text)
{
    const char *line = text;
    while (line && *line) {
        size_t digits = strspn(line, "0123456789");
        if (digits > 0 && (line[digits] == '\n' || line[digits] == ';' || !line[digits]))
            return text_format("%.*s", (int)digits, line);
        line = strchr(line, '\n');
        if (line) line++;
    }
    return NULL;
}

Status batch_submit(const char *script, const char *after, char **job)
{
    char *dependency = after ? text_format("--dependency=afterany:%s", after) : NULL, *said = NULL;
    const char *argv[] = {"sbatch", "--parsable", dependency ? dependency : script, dependency ? script : NULL, NULL};
    int code = 0;
    *job = NULL;
    Status status = shell_run((char *const *)(uintptr_t)argv, &said, &code);
    free(dependency);
    TRY(status);
    if (code == 0) *job = parse_job(said);
    char *line = shell_said(said);
    free(said);
    if (code == 127)
        status = status_fail(ERR_INPUT,
                             "there is no sbatch here; submit on a machine of the cluster, or use "
                             "`reelwright run --hostfile` (%s is ready)",
                             script);
    else if (code != 0)
        status = status_fail(ERR_INPUT, "sbatch refused %s: %s", script, line);
    else if (!*job)
        status = status_fail(ERR_FATAL, "sbatch did not say which job it is: %.200s", line);
    free(line);
    return status;
}
