/* delivery_keys.c - the keys of `deliver`: what happens to a clip when it is approved, and who gets none. */
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "coordinator/campaign/load.h"
#include "coordinator/campaign/suppress.h"

static void read_suppress(CampaignLoad *l, DeliverySettings *d)
{
    const YamlWords *by = &l->file.suppress_by;
    const Customers *c = &l->campaign->customers;
    for (int i = 0; i < by->count; i++) {
        d->suppress_by[d->suppress_by_count++] = text_copy(by->word[i]);
        if (c->column_count && customers_column(c, by->word[i]) < 0)
            faults_add(l->faults, campaign_place(l, "deliver.suppress_by"), "no column %s among the customers'",
                       quoted(by->word[i]).text);
    }
    if (by->count && !campaign_is_given(l->file.deliver_suppress))
        faults_add(l->faults, campaign_place(l, "deliver.suppress_by"),
                   "columns, but no deliver.suppress that could name them");
    if (!campaign_is_given(l->file.deliver_suppress)) return;
    char *path = path_join(l->campaign->folder, l->file.deliver_suppress);
    d->suppress = realpath(path, NULL);
    Status status = d->suppress ? suppress_read(d->suppress, (const char *const *)d->suppress_by, d->suppress_by_count,
                                                &l->suppress)
                                : status_errno(ERR_INPUT, "%s", path);
    if (failed(status)) faults_add(l->faults, campaign_place(l, "deliver.suppress"), "%s", status.message);
    free(path);
}

void campaign_read_delivery(CampaignLoad *l)
{
    const CampaignFile *f = &l->file;
    DeliverySettings *d = &l->campaign->settings.delivery;
    if (campaign_is_given(f->deliver_upload)) d->upload = text_copy(f->deliver_upload);
    if (campaign_is_given(f->deliver_webhook)) {
        campaign_check_address(l, "deliver.webhook", f->deliver_webhook);
        d->webhook = text_copy(f->deliver_webhook);
    }
    d->time_limit_s = f->upload_limit_s;
    d->retries = f->upload_retries;
    d->parallel = f->upload_parallel;
    read_suppress(l, d);
}

char *campaign_suppressed(const CampaignLoad *l, int64_t row)
{
    const Customers *c = &l->campaign->customers;
    const int line = suppress_line(l->suppress, customers_value(c, row, c->id_column), (const char *const *)c->column,
                                   (const char *const *)c->value + row * c->column_count, c->column_count);
    return line ? suppress_reason(l->suppress, line) : NULL;
}
