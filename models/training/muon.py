"""Muon for matrices, AdamW for the rest: in these short runs it needs far fewer steps than AdamW alone.

Muon replaces a gradient matrix by the nearest orthogonal one, so every direction of a weight learns at the same pace.
The update is scaled to AdamW's usual size (0.2 per element), so both share one learning rate. Matrices of one shape go
through as one batch; the members of a team each take a part of these batches and exchange the results.
"""
import torch


def orthogonal(g, steps=5):
    """Newton-Schulz iteration towards U V^T of each g = U S V^T in a batch [n, rows, columns]."""
    x = g.mT if g.shape[1] > g.shape[2] else g
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        a = x @ x.mT
        x = 3.4445 * x + torch.baddbmm(a, a, a, beta=-4.7750, alpha=2.0315) @ x
    return x.mT if g.shape[1] > g.shape[2] else x


class Muon:
    def __init__(self, parameters, lr, team, momentum=0.95, decay=0.01):
        parameters = list(parameters)
        self.matrices = [p for p in parameters if p.dim() > 1 and min(p.shape[0], p[0].numel()) > 4]
        chosen = {id(p) for p in self.matrices}
        rest = [p for p in parameters if id(p) not in chosen]
        self.adam = torch.optim.AdamW(rest, lr=lr, betas=(0.9, 0.98), weight_decay=0.0)
        self.speed = [torch.zeros_like(p) for p in self.matrices]
        self.team, self.momentum, self.decay = team, momentum, decay
        alike = {}
        for i, p in enumerate(self.matrices):
            alike.setdefault((p.shape[0], p[0].numel()), []).append(i)
        load, self.mine = [0] * team.size, []
        for shape, members in sorted(alike.items(), key=lambda a: -min(a[0]) * a[0][0] * a[0][1] * len(a[1])):
            rank = load.index(min(load))
            load[rank] += min(shape) * shape[0] * shape[1] * len(members)
            if rank == team.rank:
                self.mine.append(members)

    def zero_grad(self):
        for p in self.matrices:
            p.grad = None
        self.adam.zero_grad(set_to_none=True)

    @torch.no_grad()
    def step(self, lr):
        for group in self.adam.param_groups:
            group["lr"] = lr
        self.adam.step()
        gradients = [p.grad for p in self.matrices]
        torch._foreach_lerp_(self.speed, gradients, 1 - self.momentum)
        ahead = torch._foreach_lerp(gradients, self.speed, self.momentum)
        updates = [torch.zeros_like(p) for p in self.matrices] if self.team.size > 1 else [None] * len(ahead)
        for members in self.mine:
            g = torch.stack([ahead[i].flatten(1) for i in members])
            for i, u in zip(members, 0.2 * max(g.shape[1:]) ** 0.5 * orthogonal(g)):
                updates[i] = u.reshape(ahead[i].shape)
        self.team.add_up(updates)
        torch._foreach_mul_(self.matrices, 1 - lr * self.decay)
        torch._foreach_sub_(self.matrices, updates, alpha=lr)

    def state_dict(self):
        return {"speed": self.speed, "adam": self.adam.state_dict()}

    def load_state_dict(self, state):
        self.speed = state["speed"]
        self.adam.load_state_dict(state["adam"])
