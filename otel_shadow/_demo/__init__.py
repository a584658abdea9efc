"""The bundled demo: the enrolment assistant of an after-school learning centre, in two versions."""
