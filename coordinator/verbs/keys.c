/* keys.c - `reelwright keys init DIR`: a farm's signing key, to try credentials with. */
#include <stdio.h>
#include <string.h>

#include "common/foreign.h"
#include "common/options.h"
#include "coordinator/verbs/verbs.h"
#include "trust/certificate.h"

Status verb_keys(int argc, char **argv)
{
    const char *organisation = "Reelwright user";
    int first;
    const Option table[] = {
        {"organisation", OPTION_TEXT, &organisation, .value = "NAME", .help = "who signs, as the certificate says it"}};
    const Usage usage = {
        .verb = "keys",
        .arguments = "init DIR [--organisation NAME]",
        .about = "Makes the key that signs this farm's clips, and a certificate chain of its own, to try things with.\n"
                 "Readers find such a signature valid and its signer unknown: a clip that shall be trusted needs a\n"
                 "certificate of the C2PA conformance programme in the place of chain.pem and signer.pem.",
        .option = table,
        .option_count = 1,
        .min_arguments = 2,
        .max_arguments = 2};
    TRY(options_read(&usage, argc, argv, &first));
    if (first < 0) return status_ok();
    const char *what = argv[first], *folder = argv[first + 1];
    if (strcmp(what, "init") != 0) return status_fail(ERR_INPUT, "keys %.40s: expected keys init DIR", what);
    if (strlen(organisation) < 1 || strlen(organisation) > 64)
        return status_fail(ERR_INPUT, "--organisation: expected 1 to 64 bytes");
    TRY(trust_make_certificates(folder, organisation));
    foreign_print(
        stdout,
        "%s/signer.pem  the key, for `credentials: {key: ...}`; only you can read it\n"
        "%s/chain.pem   its certificates, for `credentials: {certificate: ...}`; self-made: nobody trusts them\n"
        "%s/root.pem    the root, for a reader that shall trust this farm\n",
        folder, folder, folder);
    return status_ok();
}
