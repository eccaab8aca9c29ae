"""What the mixture with a few labels is compared with: scikit-learn's own, behind one contract."""

from baselines.semisupervised.self_training import SelfTraining
from baselines.semisupervised.spreading import LabelSpreading

__all__ = ["LabelSpreading", "SelfTraining"]
