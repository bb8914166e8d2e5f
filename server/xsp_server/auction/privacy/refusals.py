"""What a user, or a law for them, can refuse: one bit each, so that they add up in one number."""

from typing import Final

STORAGE: Final = 1
"""To have ids stored on the device or read from it."""
PERSONALISED: Final = 2
"""To have ads chosen by what is known of them."""
LOCATION: Final = 4
"""To have their exact position used."""
BASIC_ADS: Final = 8
"""To have any personal data used for ads, even for those chosen without a profile."""
OPT_OUT: Final = 16
"""To have data sold, shared, or used for targeted advertising."""
CHILD: Final = 32
"""As a known child: to have data used, for want of consent."""

CONSENT_FRAMEWORK: Final = STORAGE | PERSONALISED | LOCATION | BASIC_ADS
"""All that TCF lets refuse."""
US_PRIVACY: Final = OPT_OUT | LOCATION | CHILD
"""All that the US sections of GPP let refuse."""
EVERYTHING: Final = CONSENT_FRAMEWORK | US_PRIVACY
