"""What to fit and how, in plain values: the same fields for a script, a TOML file and a flow."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Gt, Lt

from gmm_dask.mixture.acceleration import acceleration_names
from gmm_dask.mixture.covariance import families_named, family_names
from gmm_dask.mixture.kernels import Arithmetic
from gmm_dask.mixture.noise import inverse_volume, noise_text
from gmm_dask.mixture.prior import Method, prior_text, said_prior
from gmm_dask.mixture.regularisation import DegeneratePolicy, Regularisation
from gmm_dask.mixture.starts import method_names
from gmm_dask.settings.checks import check
from gmm_dask.settings.declaration import Help, OneOf, Said, Sklearn
from gmm_dask.settings.errors import ConfigurationError
from gmm_dask.settings.identity import identity_of
from gmm_dask.settings.secrets import Address

if TYPE_CHECKING:
    from gmm_dask.mixture.iteration import EMSettings

WHOLE_STARTS: Mapping[str, str] = MappingProxyType(
    {"given": "a mixture to begin with (initial=)", "labels": "a label of every row (labels=)"}
)
"""Values of init that draw nothing, and what each needs beside it."""

FORMAT_1 = (
    *("components", "covariance", "init", "n_init", "finalists", "seed", "sample_rows", "tol"),
    *("relative_tol", "parameter_tol", "max_iter", "reg_covar", "relative_floor", "degenerate"),
    *("accelerate", "arithmetic"),
)
"""The fields of `Configuration` in the first format of run folders, where all of them are named."""

Number = float | None


@dataclass(frozen=True)
class Configuration:
    """A fit, but for the data: K components of one covariance family, and how to get there.

    Names and defaults are scikit-learn's where it has them. n_init starts are raced on a sample of
    `sample_rows` rows, and the best `finalists` go on to all rows, together.
    """

    components: Annotated[
        int, Ge(1), Help("Components", "K, how many Gaussians", "-k"), Sklearn("n_components", 1)
    ]
    covariance: Annotated[
        str,
        OneOf(family_names),
        Help("Covariance", "family of the covariances, by scikit-learn's name or mclust's"),
        Sklearn("covariance_type"),
    ] = "full"
    init: Annotated[
        str,
        OneOf(method_names, "labels:NAME, or the path of a model"),
        Address(),
        Help(
            "Start",
            "kmeans, kmeans++, split-and-merge, random, random-rows, labels:NAME, or the path of a "
            "model",
        ),
        Sklearn("init_params"),
    ] = "kmeans"
    n_init: Annotated[int, Ge(1), Help("Starts", "starts raced on a sample of rows")] = 1
    finalists: Annotated[int, Ge(1), Help("Finalists", "starts that see all rows")] = 2
    seed: Annotated[
        int, Ge(0), Help("Seed", "of everything random"), Sklearn("random_state", None)
    ] = 0
    sample_rows: Annotated[int, Ge(1), Help("Sample", "rows to draw starts from")] = 20_000
    tol: Annotated[Number, Ge(0), Help("Tolerance", "least change of mean log-likelihood")] = 1e-3
    relative_tol: Annotated[
        Number,
        Ge(0),
        Help("Relative tolerance", "least change of mean log-likelihood, as a share of it"),
    ] = None
    parameter_tol: Annotated[
        Number,
        Ge(0),
        Help("Tolerance of parameters", "least change of a parameter, in standard deviations"),
    ] = None
    max_iter: Annotated[
        int, Ge(0), Help("Most iterations", "most iterations, converged or not")
    ] = 100
    reg_covar: Annotated[
        float, Ge(0), Lt(float("inf")), Help("Regularisation", "added to the variances")
    ] = 1e-6
    relative_floor: Annotated[
        float,
        Gt(0),
        Lt(1),
        Help("Relative floor", "least variances, relative to those of the data"),
    ] = 1e-20
    degenerate: Annotated[
        DegeneratePolicy,
        Help("Degenerate components", "what becomes of degenerate components"),
    ] = "floor"
    accelerate: Annotated[
        str | None,
        OneOf(acceleration_names),
        Help("Acceleration", "fewer passes to the same optimum; none is plain EM"),
    ] = "auto"
    arithmetic: Annotated[
        Arithmetic,
        Help("Arithmetic", "of passes; float32 is quicker and less exact"),
    ] = "float64"
    prior: Annotated[
        str | None,
        Help(
            "Prior",
            "of means and covariances: default is mclust's, others shrinkage=0.01,dof=8,scale=1; "
            "none is maximum likelihood; if variational, scikit-learn's, others "
            "weights=dirichlet_distribution,concentration=0.1,shrinkage=1,dof=8",
        ),
    ] = None
    method: Annotated[
        Method,
        Help("Method", "em, or variational: Bayes, which empties components that are not needed"),
    ] = "em"
    noise: Annotated[
        str | None,
        Said(noise_text, (bool, int, float)),
        Help(
            "Noise",
            "a uniform component beside the Gaussians: box is that of the rows, a number the "
            "inverse of its volume",
        ),
    ] = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "prior", prior_text(self.prior))
        check(self)
        said_prior(self.method, self.prior)
        if self.noise is not None:
            inverse_volume(self.noise)
            if self.method != "em":
                raise ConfigurationError(
                    f"method={self.method!r} knows no noise: a posterior is of Gaussians alone; "
                    "leave noise out, or fit by method='em'"
                )
        (family,) = families_named([self.covariance])
        object.__setattr__(self, "covariance", family)  # by one name, however it was asked for
        if self.init not in (*method_names(), *WHOLE_STARTS):
            raise ConfigurationError(
                f"init must be one of {', '.join(method_names())}, or a mixture; not {self.init!r}"
            )

    def settings(self) -> "EMSettings":
        """The part that the EM loop needs."""
        # Whoever only reads what is asked for, as --help does, needs no NumPy.
        from gmm_dask.mixture.iteration import EMSettings
        from gmm_dask.mixture.stopping import Stopping

        return EMSettings(
            Stopping(self.tol, self.relative_tol, self.parameter_tol, self.max_iter),
            Regularisation(
                self.reg_covar,
                self.relative_floor,
                self.degenerate,
                prior=said_prior(self.method, self.prior),
            ),
            self.accelerate,
            self.arithmetic,
        )

    def check_drawn(self) -> None:
        """Refuse, before any pass, to draw a start where it was to be given."""
        missing = WHOLE_STARTS.get(self.init)
        if missing is not None:
            raise ConfigurationError(
                f"init={self.init!r} needs {missing}; give it, or choose how a start is drawn: "
                f"{', '.join(method_names())}"
            )

    def check_rows(self, count: int) -> None:
        """Refuse, before any pass, more components than there are rows to begin from."""
        drawn = min(count, self.sample_rows)
        if self.components > drawn:
            raise ConfigurationError(
                f"{self.components} components need as many rows to begin from, and there are "
                f"{drawn}{'' if drawn == count else ' in the sample (sample_rows)'}; ask for fewer"
            )

    def as_dict(self) -> dict[str, Any]:
        """Every field by name, JSON-able."""
        return asdict(self)

    def identity(self) -> dict[str, Any]:
        """What tells this fit from others."""
        return identity_of(self, FORMAT_1)
