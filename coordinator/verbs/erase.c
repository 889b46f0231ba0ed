/* erase.c - `reelwright erase DIR CUSTOMER` and `expire DIR`: personal data leave a campaign's folder, provably. */
#include <stdio.h>
#include <stdlib.h>

#include "common/foreign.h"
#include "common/moment.h"
#include "common/options.h"
#include "common/plural.h"
#include "coordinator/deliver/erase.h"
#include "coordinator/ledger/erase.h"
#include "coordinator/ledger/steer.h"
#include "coordinator/verbs/verbs.h"

static Status check_by(const char *by)
{
    return !by || foreign_is_line(by)
               ? status_ok()
               : status_fail(ERR_INPUT, "--by: expected one line of UTF-8 without control characters");
}

Status verb_erase(int argc, char **argv)
{
    const char *by = NULL;
    int first;
    const Option table[] = {
        {"by", OPTION_TEXT, &by, .value = "NAME", .help = "who does it, for the record (the user's name)"}};
    const Usage usage = {
        .verb = "erase",
        .arguments = "DIR CUSTOMER [--by NAME]",
        .about = "Removes one customer's data from a campaign's folder: row, prompt, clips, master, latents, log\n"
                 "lines, free pages of the ledger. Where others share the render, theirs stays. A tombstone stays:\n"
                 "its place, a hash, the time. The campaign's own table is yours to change: take the row out there,\n"
                 "too.",
        .option = table,
        .option_count = 1,
        .min_arguments = 2,
        .max_arguments = 2};
    TRY(options_read(&usage, argc, argv, &first));
    if (first < 0) return status_ok();
    TRY(check_by(by));
    EraseResult done;
    const EraseOptions how = {.by = erase_who(by), .take_back = true};
    Status status = erase_customers(argv[first], &how, &argv[first + 1], 1, &done);
    if (failed(status) && status.err != ERR_CLIP) return status;
    if (done.before)
        foreign_print(stdout, "%s: that customer was erased before; looked again, nothing is left\n", argv[first]);
    else if (done.removed)
        foreign_print(stdout,
                      "%s: customer erased, whose row had left the table before: searched for the id, since the row's "
                      "words are not known any more\n",
                      argv[first]);
    else
        foreign_print(stdout, "%s: customer erased; %lld word%s of the row searched for and removed\n", argv[first],
                      (long long)done.words, plural_s(done.words));
    return status;
}

/* ---- expire ---- */

static Status find_expired(const char *folder, double age_s, char ***id, int64_t *count)
{
    Ledger *l = NULL;
    Settings settings = {0};
    *id = NULL;
    *count = 0;
    TRY(ledger_open_shown(folder, &l));
    Status status = ledger_read_settings(l, &settings);
    if (!failed(status) && age_s < 0) age_s = settings.retention_s;
    if (!failed(status) && age_s < 0)
        status = status_fail(ERR_INPUT,
                             "%s: its campaign has no retention; expected `retention: 30d` there, or --older-than 30d",
                             folder);
    if (!failed(status)) status = ledger_find_expired(l, moment_wall_s() - age_s, id, count);
    settings_clear(&settings);
    ledger_close(&l);
    return status;
}

Status verb_expire(int argc, char **argv)
{
    const char *by = NULL, *older = NULL;
    char **id = NULL;
    int64_t count = 0;
    double age_s = -1;
    int first;
    const Option table[] = {
        {"older-than", OPTION_TEXT, &older, .value = "30d",
         .help = "since the clip was decided about (the campaign's retention); 12h, 30d, 8w"},
        {"by", OPTION_TEXT, &by, .value = "NAME", .help = "who does it, for the record (the user's name)"}};
    const Usage usage = {
        .verb = "expire",
        .arguments = "DIR [--older-than 30d]",
        .about = "Erases every customer whose clip is older than the campaign's `retention`, as `erase` does one.",
        .option = table,
        .option_count = 2,
        .min_arguments = 1,
        .max_arguments = 1};
    TRY(options_read(&usage, argc, argv, &first));
    if (first < 0) return status_ok();
    TRY(check_by(by));
    if (older && (!retention_parse(older, &age_s) || age_s < 0))
        return status_fail(ERR_INPUT, "--older-than %.20s: expected 12h, 30d or 8w", older);
    EraseResult done;
    Status status = find_expired(argv[first], age_s, &id, &count);
    if (!failed(status) && count)
        status = erase_customers(argv[first], &(EraseOptions){.by = erase_who(by)}, id, count, &done);
    if (!failed(status) || status.err == ERR_CLIP)
        foreign_print(stdout, "%s: %lld customer%s erased\n", argv[first], (long long)count, plural_s(count));
    for (int64_t i = 0; i < count; i++) free(id[i]);
    free(id);
    return status;
}
