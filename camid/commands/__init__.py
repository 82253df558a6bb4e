"""The commands of `camid`, by who types them."""
