/* fuzz_campaign.c - any bytes as a campaign file and as a renditions file: what is accepted keeps to the ranges of
 * the table. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/campaign/rendition.h"
#include "coordinator/campaign/schema.h"

static void check_campaign(const CampaignFile *f)
{
    if (!f->campaign || !f->model || !f->customers || !f->prompt) abort();
    if (f->frames < 0 || f->frames > 65536 || f->fps < 0 || f->fps > 240 || f->steps < 0 || f->steps > 1000) abort();
    if (f->size[0] && (f->size[0] < 16 || f->size[0] > 8192 || f->size[1] < 16 || f->size[1] > 8192)) abort();
    if (!(f->guidance >= 0 && f->guidance <= 100) || f->checkpoint_every < 0 || f->checkpoint_every > 1000) abort();
    if (f->renditions.count < 1 || f->renditions.count > YAML_MAX_WORDS) abort();
}

static void check_renditions(const RenditionList *list)
{
    for (int i = 0; i < list->count; i++) {
        const Rendition *r = &list->rendition[i];
        if (strpbrk(r->name, "/. ") || !*r->name || !*r->preset) abort();
        if (r->width < 0 || r->width > 8192 || r->crf < 0 || r->crf > 51 || r->max_kbps < 0) abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > YAML_MAX_BYTES) return 0; /* refused before it is parsed */
    CampaignFile f;
    Faults *faults = faults_new();
    if (!campaign_file_parse("c.yaml", (const char *)data, size, faults, &f) && faults_count(faults) == 0) abort();
    if (faults_count(faults) == 0) check_campaign(&f);
    campaign_file_clear(&f);
    faults_free(&faults);

    static RenditionList list;
    faults = faults_new();
    rendition_list_parse("r.yaml", (const char *)data, size, faults, &list);
    if (faults_count(faults) == 0) check_renditions(&list);
    faults_free(&faults);
    return 0;
}
