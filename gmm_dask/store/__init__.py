"""Where anything is kept: addresses, folders on files and in object stores, sealed files, locks."""
