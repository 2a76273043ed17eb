"""Durable work: sagas, the workers that run them, and reconcilers."""

from .reconcile import RECONCILERS, Reconciler
from .saga import REGISTRY, Retry, Saga, StepFailed, step
from .tasks import supersede
from .worker import Worker

__all__ = ["RECONCILERS", "REGISTRY", "Reconciler", "Retry", "Saga", "StepFailed", "Worker", "step", "supersede"]
