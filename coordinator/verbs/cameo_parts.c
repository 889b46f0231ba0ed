/* cameo_parts.c - what the verbs of `reelwright cameo` have in common: the moment, --trust, the id. */
#include <stdio.h>

#include "common/moment.h"
#include "coordinator/verbs/cameo.h"

int64_t cameo_now(void) { return (int64_t)moment_wall_s(); }

Option cameo_trust_option(const char **to)
{
    return (Option){"trust", OPTION_TEXT, to, .value = "DIR",
                    .help = "the trust store ($REELWRIGHT_TRUST, else ~/.local/share/reelwright/trust)"};
}

Status cameo_read_id(const char *verb, const char *about, const char *more, const Option *table, int count, int argc,
                     char **argv, const char **id)
{
    char arguments[128];
    int first;
    snprintf(arguments, sizeof arguments, "ID%s", more);
    const Usage usage = {.verb = verb,
                         .arguments = arguments,
                         .about = about,
                         .option = table,
                         .option_count = count,
                         .min_arguments = 1,
                         .max_arguments = 1};
    *id = NULL;
    TRY(options_read(&usage, argc, argv, &first));
    if (first >= 0) *id = argv[first];
    return status_ok();
}
