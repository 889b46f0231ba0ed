/* verb_verify.c - the worker's half of `reelwright verify FILE`: looks at one file and says what was found. */
#include <jansson.h>
#include <stdio.h>

#include "common/foreign.h"
#include "common/json_member.h"
#include "worker/proof/verify.h"
#include "worker/proof/watermark.h"
#include "worker/verbs/verbs.h"

static void print_found(const char *path, const json_t *j)
{
    const json_t *altered = json_object_get(j, "altered"), *mark = json_object_get(j, "watermark"),
                 *looks = json_object_get(j, "fingerprint");
    const double p = json_number_value(json_object_get(mark, "p_value"));
    const char *clip = member_text(j, "clip", NULL);
    if (clip)
        foreign_print(stdout, "%s: clip %s of campaign %s\n", path, clip, member_text(j, "campaign", "unknown"));
    else
        foreign_print(stdout, "%s: no clip that can be named\n", path);
    foreign_print(stdout, "  altered      %s: %s\n",
                  json_is_null(altered)   ? "not known"
                  : json_is_true(altered) ? "yes"
                                          : "no",
                  member_text(j, "why", ""));
    foreign_print(stdout, "  credentials  %s\n", member_text(j, "credentials", "none"));
    if (json_is_false(json_object_get(mark, "looked_for")))
        foreign_print(stdout, "  watermark    not looked for: %s\n", member_text(mark, "why", ""));
    else if (json_is_true(json_object_get(mark, "found")))
        foreign_print(stdout, "  watermark    found, clip %s, p %s %.2g\n", member_text(mark, "clip", "unknown"),
                      p > WATERMARK_LEAST_P ? "=" : "<", p);
    else
        foreign_print(stdout, "  watermark    none, p = %.2g\n", p);
    if (json_is_null(json_object_get(looks, "distance")))
        foreign_print(stdout, "  fingerprint  nothing to compare with\n");
    else
        foreign_print(stdout, "  fingerprint  %lld of 256 bits from the nearest, clip %s\n",
                      (long long)json_integer_value(json_object_get(looks, "distance")),
                      member_text(looks, "clip", "unknown"));
    foreign_print(stdout, "  record       %s\n", member_text(j, "record", "absent"));
}

Status verb_verify_file(const char *path, const char *options_json, bool as_json)
{
    json_error_t error;
    json_t *options = json_loads(options_json, 0, &error), *found = NULL;
    if (!options) return status_fail(ERR_INPUT, "verify: options: %s", error.text);
    const VerifyOptions o = {.watermark_key = member_text(options, "watermark_key", NULL),
                             .anchors = member_text(options, "anchors", NULL),
                             .clips = json_object_get(options, "clips")};
    Status status = verify_file(path, &o, &found);
    if (!failed(status) && as_json) {
        foreign_print_json(stdout, found, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    } else if (!failed(status)) {
        print_found(path, found);
    }
    json_decref(found);
    json_decref(options);
    return status;
}
