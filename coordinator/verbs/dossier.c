/* dossier.c - `reelwright dossier DIR`. */
#include <stdio.h>

#include <jansson.h>

#include "common/foreign.h"
#include "common/options.h"
#include "coordinator/deliver/dossier.h"
#include "coordinator/verbs/verbs.h"

Status verb_dossier(int argc, char **argv)
{
    bool as_json = false;
    int first;
    json_t *dossier;
    const Option table[] = {{"json", OPTION_FLAG, &as_json, .help = "print it, write no files"}};
    const Usage usage = {
        .verb = "dossier",
        .arguments = "DIR [--json]",
        .about = "The legal department's file of a campaign: models with parts, hashes, licences and training data;\n"
                 "whose likeness was used by which consent, and how that stands now; decisions; figures. Writes\n"
                 "DIR/dossier.html and DIR/dossier.json.",
        .option = table,
        .option_count = 1,
        .min_arguments = 1,
        .max_arguments = 1};
    TRY(options_read(&usage, argc, argv, &first));
    if (first < 0) return status_ok();
    TRY(dossier_make(argv[first], &dossier));
    Status status = status_ok();
    if (as_json) {
        foreign_print_json(stdout, dossier, JSON_INDENT(1));
    } else {
        status = dossier_write(argv[first], dossier);
        if (!failed(status)) foreign_print(stdout, "%s/dossier.html\n%s/dossier.json\n", argv[first], argv[first]);
    }
    json_decref(dossier);
    return status;
}
