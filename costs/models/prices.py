"""The price book: dated rules that never change. A change of price is the end of one rule and a new one; the database
itself refuses everything else (`costs.guards`), and two rules that would hold at once."""

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from profiles.tenancy import ProfileOwned, new_id


class Meter(models.TextChoices):
    """What is counted. Tokens of the prompt by modality are those that were not read from the provider's cache."""

    TEXT = "tok_in_text", "text tokens in"
    IMAGE = "tok_in_image", "image tokens in"
    VIDEO = "tok_in_video", "video tokens in"
    AUDIO = "tok_in_audio", "audio tokens in"
    CACHED = "tok_cached", "cached tokens in"
    OUT = "tok_out", "tokens out"
    THINK = "tok_think", "thinking tokens"
    CHARACTER = "char", "characters"
    CREDIT = "credit", "credits"
    AUDIO_SECOND = "audio_sec", "seconds of audio"
    REQUEST = "request", "requests"


is_currency = RegexValidator(r"^[A-Z]{3}\Z", "A currency has three capital letters, as in USD.")
PROMPT = (Meter.TEXT, Meter.IMAGE, Meter.VIDEO, Meter.AUDIO, Meter.CACHED)


class Price(models.Model):
    """`unit_price` of `currency` for `per_quantity` of `meter`, for models that are called `model` (or begin so), from
    `tier_min` prompt tokens on, in [valid_from, valid_to)."""

    class Match(models.TextChoices):
        EXACT = "exact", "is called"
        PREFIX = "prefix", "begins with"

    class Certainty(models.TextChoices):
        SURE = "sure", "Sure"
        LIKELY = "likely", "Likely"
        DOUBTFUL = "doubtful", "Doubtful"

    provider = models.CharField(max_length=40)
    model = models.CharField(max_length=100, blank=True, help_text="Empty with “begins with”: every model.")
    match = models.CharField(max_length=6, choices=Match.choices, default=Match.EXACT)
    meter = models.CharField(max_length=20, choices=Meter.choices)
    per_quantity = models.PositiveIntegerField(default=1, help_text="The price is for so many.")
    unit_price = models.DecimalField(max_digits=15, decimal_places=12)  # digits that SQLite keeps exactly
    currency = models.CharField(max_length=3, default="USD", validators=[is_currency])
    tier_min = models.PositiveBigIntegerField(default=0, help_text="From so many prompt tokens on.")
    service_tier = models.CharField(max_length=20, default="standard", help_text="As in standard, batch, flex.")
    valid_from = models.DateTimeField()
    valid_to = models.DateTimeField(null=True, blank=True, help_text="Empty: until further notice.")
    source = models.CharField(max_length=300, help_text="Where it was read.")
    source_date = models.DateField(help_text="When it was read.")
    certainty = models.CharField(max_length=10, choices=Certainty.choices, default=Certainty.LIKELY)
    note = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        abstract = True
        ordering = ("provider", "model", "meter", "service_tier", "tier_min", "-valid_from")
        constraints = [
            models.CheckConstraint(
                condition=Q(per_quantity__gte=1, unit_price__gte=0) & ~Q(provider="") & ~Q(service_tier=""),
                name="%(class)s_is_a_price",
            ),
            models.CheckConstraint(
                condition=Q(match="prefix") | Q(match="exact") & ~Q(model=""), name="%(class)s_names_its_model"
            ),
            models.CheckConstraint(
                condition=Q(valid_to__isnull=True) | Q(valid_to__gte=F("valid_from")), name="%(class)s_runs_forward"
            ),
        ]

    def __str__(self) -> str:
        model = f"{self.model}…" if self.match == self.Match.PREFIX else self.model
        return f"{self.provider} {model}, {self.get_meter_display()}"

    @property
    def in_words(self) -> str:
        """As in 0.3 USD per 1,000,000 tokens out."""
        per = "" if self.per_quantity == 1 else f"{self.per_quantity:,} "
        return f"{self.unit_price.normalize():f} {self.currency} per {per}{self.get_meter_display()}"


class PriceRule(Price):
    """A price for all profiles. `origin`: rules of the program itself give way to those that people entered."""

    class Origin(models.TextChoices):
        SEEDED = "seeded", "Came with EditAI"
        ENTERED = "entered", "Entered by an operator"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    origin = models.CharField(max_length=10, choices=Origin.choices, default=Origin.ENTERED, editable=False)

    class Meta(Price.Meta):
        indexes = [models.Index(fields=["provider", "meter"], name="pricerule_lookup")]


class PriceOverride(Price, ProfileOwned):
    """What one profile pays instead, by a contract of its own."""

    class Meta(Price.Meta):
        base_manager_name = "objects"
        default_manager_name = "objects"
        indexes = [models.Index(fields=["profile", "provider", "meter"], name="priceoverride_lookup")]


class ExchangeRate(models.Model):
    """What one unit of a currency is worth in the currency of the books, from a moment on. Rates are only added."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    currency = models.CharField(max_length=3, validators=[is_currency])
    rate = models.DecimalField(max_digits=18, decimal_places=9, help_text="Book currency for one unit of this one.")
    valid_from = models.DateTimeField()
    source = models.CharField(max_length=300)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("currency", "-valid_from")
        constraints = [
            models.UniqueConstraint(fields=["currency", "valid_from"], name="one_rate_from_a_moment_on"),
            models.CheckConstraint(condition=Q(rate__gt=0) & ~Q(currency=""), name="exchangerate_is_a_rate"),
        ]

    def __str__(self) -> str:
        return f"1 {self.currency} = {self.rate.normalize():f}"
