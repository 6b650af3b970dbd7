// Where previews run. The server, or `xtask dist`, writes the address in here,
// so this stays in the one script whose name carries no content hash.

globalThis.__sandglassPreview ??= "__SANDGLASS_PREVIEW__";
