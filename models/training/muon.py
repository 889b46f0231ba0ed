"""Muon for matrices, AdamW for the rest: in these short runs it needs far fewer steps than AdamW alone.

Muon replaces a gradient matrix by the nearest orthogonal one, so every direction of a weight learns at the same pace.
The update is scaled to AdamW's usual size (0.2 per element), so both share one learning rate. The members of a team
each orthogonalise a part of the matrices and exchange the results.
"""
import torch


def orthogonal(g, steps=5):
    """Newton-Schulz iteration towards U V^T of g = U S V^T."""
    x = g.T if g.shape[0] > g.shape[1] else g
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        a = x @ x.T
        x = 3.4445 * x + torch.addmm(a, a, a, beta=-4.7750, alpha=2.0315) @ x
    return x.T if g.shape[0] > g.shape[1] else x


class Muon:
    def __init__(self, parameters, lr, team, momentum=0.95, decay=0.01):
        parameters = list(parameters)
        self.matrices = [p for p in parameters if p.dim() > 1 and min(p.shape[0], p[0].numel()) > 4]
        chosen = {id(p) for p in self.matrices}
        rest = [p for p in parameters if id(p) not in chosen]
        self.adam = torch.optim.AdamW(rest, lr=lr, betas=(0.9, 0.98), weight_decay=0.0)
        self.speed = [torch.zeros_like(p) for p in self.matrices]
        self.team, self.momentum, self.decay = team, momentum, decay
        cost = [min(p.shape[0], p[0].numel()) * p.numel() for p in self.matrices]
        load, self.mine = [0] * team.size, set()
        for i in sorted(range(len(cost)), key=lambda i: -cost[i]):
            rank = load.index(min(load))
            load[rank] += cost[i]
            if rank == team.rank:
                self.mine.add(i)

    def zero_grad(self):
        for p in self.matrices:
            p.grad = None
        self.adam.zero_grad(set_to_none=True)

    @torch.no_grad()
    def step(self, lr):
        for group in self.adam.param_groups:
            group["lr"] = lr
        self.adam.step()
        updates = []
        for i, (p, s) in enumerate(zip(self.matrices, self.speed)):
            s.lerp_(p.grad, 1 - self.momentum)
            if i in self.mine:
                g = p.grad.lerp(s, self.momentum).flatten(1)
                updates.append(0.2 * max(g.shape) ** 0.5 * orthogonal(g).reshape(p.shape))
            else:
                updates.append(torch.zeros_like(p))
        self.team.add_up(updates)
        for p, u in zip(self.matrices, updates):
            p.mul_(1 - lr * self.decay).sub_(u, alpha=lr)

    def state_dict(self):
        return {"speed": self.speed, "adam": self.adam.state_dict()}

    def load_state_dict(self, state):
        self.speed = state["speed"]
        self.adam.load_state_dict(state["adam"])
