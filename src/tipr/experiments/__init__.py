"""Which values go together: one function per experiment, named `module:function`."""
