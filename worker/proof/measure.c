#include "measure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/command.h"
#include "common/file.h"
#include "worker/cameo/likeness.h"

enum { MAX_ANSWER = 1 << 20 };

static json_t *names_of(const json_t *gates)
{
    json_t *list = json_array(), *one;
    const char *name;
    json_object_foreach((json_t *)(uintptr_t)gates, name, one) json_array_append_new(list, json_string(name));
    return list;
}

static json_t *question(const MeasureWish *w)
{
    json_t *references = json_array();
    const ShotMedia *media = w->shot->media;
    for (int i = 0; media && i < media->reference_count; i++) {
        const char *path = media->reference[i].path;
        if (path && file_exists(path)) json_array_append_new(references, json_string(path));
    }
    return json_pack("{s:i, s:s, s:o, s:o}", "version", 1, "file", w->file, "gates",
                     names_of(finish_spec_get(w->spec, "gates")), "references", references);
}

static Status take_one(const char *name, const json_t *one, Gate *gate)
{
    const int i = gate_find(name);
    const json_t *value = json_object_get(one, "value"), *at = json_object_get(one, "at");
    if (i < 0) return status_fail(ERR_CLIP, "gates.measure: \"%.60s\" is no gate", name);
    if (!json_is_number(value) || (at && !json_is_number(at)))
        return status_fail(ERR_CLIP, "gates.measure: %s: expected {\"value\": number, \"at\": seconds}", name);
    gate_tell(gate, i, json_number_value(value), at ? json_number_value(at) : NAN);
    return status_ok();
}

Status measure_take(const char *answer, size_t bytes, Gate *gate, json_t **said)
{
    json_t *j = *said = json_loadb(answer, bytes, JSON_REJECT_DUPLICATES, NULL), *one;
    const json_t *gates = json_object_get(j, "gates");
    const char *name;
    Status status = status_ok();
    if (!json_is_object(gates))
        status = status_fail(ERR_CLIP, "gates.measure: the command answered no JSON object with \"gates\" in it");
    json_object_foreach((json_t *)(uintptr_t)gates, name, one) if (!failed(status)) status = take_one(name, one, gate);
    if (!failed(status)) return status;
    json_decref(j);
    *said = NULL;
    return status;
}

Status measure_by_command(const MeasureWish *w, Gate *gate, json_t **said)
{
    const json_t *cameo = finish_spec_get(w->spec, "cameo"), *trust = finish_spec_get(w->spec, "trust");
    const bool shows = cameo && trust && json_is_true(json_object_get(cameo, "face"));
    char sha256[HASH_TEXT];
    int consent = 0;
    *said = NULL;
    if (shows) TRY(likeness_face(trust, cameo, &consent, sha256));
    json_t *j = question(w);
    if (shows && j) json_object_set_new(j, "face", json_sprintf("/dev/fd/%d", COMMAND_INHERITED_FD));
    if (shows && j) json_object_set_new(j, "consent", json_integer(consent));
    char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
    json_decref(j);
    CommandAnswer answer = {0};
    Status status = text ? command_run(&(Command){.command = w->command,
                                                  .input = text,
                                                  .limit_s = MEASURE_SECONDS,
                                                  .most_bytes = MAX_ANSWER},
                                       &answer)
                         : status_fail(ERR_CLIP, "gates.measure: a path that is no UTF-8");
    if (shows) likeness_voice_end();
    status =
        failed(status) ? status_at(status, "gates.measure") : measure_take(answer.out, answer.out_bytes, gate, said);
    command_clear(&answer);
    free(text);
    return status;
}
